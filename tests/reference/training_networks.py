"""What training changes of a tiny network, and its trained tail, for the golden files of training.

Names are the official release's, for SAM those of its image encoder (without `image_encoder.`).
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch

import dinov2
import dinov3
import sam

LORA_RANK = 2
LORA_ALPHA = 4.0
PRE_NORM, POST_NORM, NECK = "pre_norm", "post_norm", "neck"
# never trained, whatever is
BUFFERS = ("mask_token", "rope_embed.periods", "bias_mask")


@dataclass(frozen=True)
class Network:
    name: str  # the folder in tests/golden
    family: object  # its module
    config: object
    features: tuple[str, ...]

    def load(self, golden):
        """The weights of its golden checkpoint in double precision."""
        state = torch.load(golden / self.name / "original.pth", weights_only=True)
        keep = sam.PREFIX if self.family is sam else ""
        # the periods stay what the network computes its sines from in single precision
        return OrderedDict(
            (name.removeprefix(keep), tensor if name == "rope_embed.periods" else tensor.double())
            for name, tensor in state.items() if name.startswith(keep))

    def named(self, state):
        """As the family's functions look for them."""
        return {sam.PREFIX + name: tensor for name, tensor in state.items()} if self.family is sam else state

    def tokens(self, state, images):
        """Images [I, 3, H, W] to what enters each block: a list of [I, prefix + h*w, C]."""
        splits = range(self.config.depth)
        return [self.family.forward(self.named(state), self.config, images, split).tokens for split in splits]

    def tail(self, state, tokens, first, feature, grid):
        """Tokens entering block `first` to descriptors [I, h*w, C]."""
        family, config, state, x = self.family, self.config, self.named(state), tokens
        if family is sam:
            x = x.reshape(len(x), *grid, config.dim)
            for index in range(first, config.depth):
                x = sam.block(state, config, index, x)
            return (sam.neck(state, x) if feature == NECK else x).flatten(1, 2)
        positions = dinov3.rope(state["rope_embed.periods"], *grid) if family is dinov3 else ()
        for index in range(first, config.depth):
            x = family.block(state, index, config.heads, x, *positions)
        if feature == POST_NORM:
            x = dinov3.norm(state, "norm", x) if family is dinov3 else dinov2.layer_norm(state, "norm", x)
        return x[:, config.prefix :]

    def whole(self, state, images, feature):
        """DINOv2 from pixels, as pre-training trains it."""
        grid = [side // self.config.patch for side in images.shape[-2:]]
        return self.tail(state, dinov2.embed(state, self.config, images), 0, feature, grid)

    def last_blocks(self, state, count, feature):
        """Names that light fine-tuning trains: the last blocks, and what comes after them in the feature."""
        first = self.config.depth - count
        after = {POST_NORM: ("norm.",), NECK: ("neck.",)}.get(feature, ())
        starts = tuple(f"blocks.{index}." for index in range(first, self.config.depth)) + after
        return [name for name in state if name.startswith(starts) and not name.endswith(BUFFERS)]

    def linears(self, state, block):
        """Linear layers of a block as LoRA sees them: name to (tensor, which part of its rows, of how many)."""
        present = {name: (f"blocks.{block}.{tensor}.weight", part, parts)
                   for name, tensor, part, parts in LINEARS + SWIGLU.get(self.family, ())}
        return {f"blocks.{block}.{name}": found for name, found in present.items() if found[0] in state}


# A layer apart, the official tensor that holds it, which part of its rows it is, of how many.
LINEARS = (
    ("attn.q", "attn.qkv", 0, 3), ("attn.k", "attn.qkv", 1, 3), ("attn.v", "attn.qkv", 2, 3), ("attn.proj", "attn.proj", 0, 1),
    ("mlp.fc1", "mlp.fc1", 0, 1), ("mlp.fc2", "mlp.fc2", 0, 1), ("mlp.lin1", "mlp.lin1", 0, 1), ("mlp.lin2", "mlp.lin2", 0, 1),
)
# SwiGLU's: DINOv2 has the first two in one tensor, DINOv3 apart
SWIGLU = {
    dinov2: (("mlp.w1", "mlp.w12", 0, 2), ("mlp.w2", "mlp.w12", 1, 2), ("mlp.w3", "mlp.w3", 0, 1)),
    dinov3: (("mlp.w1", "mlp.w1", 0, 1), ("mlp.w2", "mlp.w2", 0, 1), ("mlp.w3", "mlp.w3", 0, 1)),
}


def lora_parameters(network, state, seed):
    """Seeded A [r, in] and B [out, r] of every linear layer of every block. B is not zero: A has gradients, then."""
    generator = torch.Generator().manual_seed(seed)
    parameters = OrderedDict()
    for block in range(network.config.depth):
        for name, (tensor, _, parts) in network.linears(state, block).items():
            rows, columns = state[tensor].shape
            for part, shape in (("A", (LORA_RANK, columns)), ("B", (rows // parts, LORA_RANK))):
                parameters[f"{name}.lora_{part}"] = 0.3 * torch.randn(shape, generator=generator)
    return parameters


def merged(network, state, lora):
    """The weights with the adapters added: W + (alpha / r) B A, of which (W x + b) + (alpha / r) B (A x) is but another order."""
    state = dict(state)
    for block in range(network.config.depth):
        for name, (tensor, part, parts) in network.linears(state, block).items():
            if f"{name}.lora_A" not in lora:
                continue
            change = LORA_ALPHA / LORA_RANK * lora[f"{name}.lora_B"] @ lora[f"{name}.lora_A"]
            pieces = list(state[tensor].chunk(parts))
            pieces[part] = pieces[part] + change
            state[tensor] = torch.cat(pieces)
    return state


def decays(name, tensor):
    """Whether weight decay acts on it: on the weights of linear layers and convolutions, and on LoRA's matrices."""
    kept = ("cls_token", "pos_embed", "register_tokens", "storage_tokens")
    return tensor.dim() >= 2 and name not in kept
