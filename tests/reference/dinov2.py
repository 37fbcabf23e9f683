"""DINOv2 in plain torch functions over a state dict: what the Rust and ONNX backbones are measured against.

Written from the formulas of the official release (facebookresearch/dinov2, Apache-2.0,
dinov2/models/vision_transformer.py); a state dict here always carries that release's names.
Shapes: B images, [h, w] patches, C channels; tokens are [B, prefix + h*w, C], the prefix being CLS and the registers.
"""

import json
import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from safetensors.torch import save as serialize

LAYER_NORM_EPS = 1e-6


@dataclass(frozen=True)
class Config:
    dim: int
    depth: int
    heads: int
    registers: int = 0
    patch: int = 14
    grid: int = 37  # side M of the square grid that the position embedding was trained on
    mlp_ratio: int = 4
    swiglu: bool = False  # ViT-g's `swiglufused`

    @property
    def prefix(self):
        return 1 + self.registers

    @property
    def hidden(self):
        """Channels inside the MLP; SwiGLU's three products take two thirds, rounded up to a multiple of 8."""
        hidden = self.mlp_ratio * self.dim
        return (hidden * 2 // 3 + 7) // 8 * 8 if self.swiglu else hidden

    def metadata(self, **more):
        """The configuration as safetensors metadata, whose values must be strings."""
        fields = dict(dim=self.dim, depth=self.depth, heads=self.heads, registers=self.registers, patch=self.patch,
                      grid=self.grid, mlp_ratio=self.mlp_ratio, layer_norm_eps=LAYER_NORM_EPS)
        if self.swiglu:
            fields |= dict(swiglu=True, hidden=self.hidden)
        return {key: str(value) for key, value in (fields | more).items()}


CONFIGS = {
    f"dinov2-{size}{suffix}": Config(dim, depth, heads, registers, swiglu=size == "vitg14")
    for size, dim, depth, heads in (
        ("vits14", 384, 12, 6), ("vitb14", 768, 12, 12), ("vitl14", 1024, 24, 16), ("vitg14", 1536, 40, 24)
    )
    for suffix, registers in (("", 0), ("-reg4", 4))
}


@dataclass(frozen=True)
class Features:
    tokens: torch.Tensor  # [B, prefix + h*w, C] after `split` blocks
    prenorm: torch.Tensor  # [B, h, w, C] patch features of the last block
    postnorm: torch.Tensor  # the same after the final norm (`x_norm_patchtokens`)


def position_embedding(state, config, rows, columns):
    """`pos_embed` fitted to `rows` x `columns` patches: [1, 1 + rows*columns, C]."""
    embedding, side = state["pos_embed"], config.grid
    if rows == columns == side:
        return embedding
    grid = embedding[:, 1:].reshape(1, side, side, config.dim).permute(0, 3, 1, 2)
    if config.registers:
        # the official `_reg4` models: interpolate_offset=0.0, interpolate_antialias=True
        fitted = F.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
    else:
        # The plain models keep their historical offset of 0.1. torch samples with the factor given here, not with
        # the ratio of the sizes, so the offset moves every sample: `size=` is not the same formula.
        scale = ((rows + 0.1) / side, (columns + 0.1) / side)
        fitted = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    assert fitted.shape[-2:] == (rows, columns)
    return torch.cat((embedding[:, :1], fitted.flatten(2).transpose(1, 2)), dim=1)


def embed(state, config, images):
    """Images [B, 3, H, W] to the tokens that enter the first block."""
    patches = F.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=config.patch)
    batch, _, rows, columns = patches.shape
    tokens = torch.cat((state["cls_token"].expand(batch, -1, -1), patches.flatten(2).transpose(1, 2)), dim=1)
    tokens = tokens + position_embedding(state, config, rows, columns)
    if config.registers:
        # only now: registers have no position
        tokens = torch.cat((tokens[:, :1], state["register_tokens"].expand(batch, -1, -1), tokens[:, 1:]), dim=1)
    return tokens


def layer_norm(state, name, x, epsilon=LAYER_NORM_EPS):
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], epsilon)


def linear(state, name, x):
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def attention(state, name, heads, x):
    batch, length, dim = x.shape
    # the rows of qkv are q, k, v, and heads within each
    q, k, v = linear(state, f"{name}.qkv", x).reshape(batch, length, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v)
    return linear(state, f"{name}.proj", mixed.transpose(1, 2).reshape(batch, length, dim))


def block(state, index, heads, x):
    name = f"blocks.{index}"
    x = x + state[f"{name}.ls1.gamma"] * attention(state, f"{name}.attn", heads, layer_norm(state, f"{name}.norm1", x))
    return x + state[f"{name}.ls2.gamma"] * mlp(state, f"{name}.mlp", layer_norm(state, f"{name}.norm2", x))


def mlp(state, name, x):
    if f"{name}.w12.weight" in state:
        gate, value = linear(state, f"{name}.w12", x).chunk(2, dim=-1)
        return linear(state, f"{name}.w3", F.silu(gate) * value)
    return linear(state, f"{name}.fc2", F.gelu(linear(state, f"{name}.fc1", x)))  # the exact, erf form


def forward(state, config, images, split):
    """Features of `images` [B, 3, H, W], already normalised; H and W are multiples of the patch."""
    rows, columns = (side // config.patch for side in images.shape[-2:])
    x = embed(state, config, images)
    tokens = x if split == 0 else None
    for index in range(config.depth):
        x = block(state, index, config.heads, x)
        if index + 1 == split:
            tokens = x

    def patches(x):
        return x[:, config.prefix :].reshape(-1, rows, columns, config.dim)

    return Features(tokens, patches(x), patches(layer_norm(state, "norm", x)))


class Random:
    """Seeded tensors under the names of a state dict.

    `sharp` weights are large enough for a mistake anywhere to show far above any tolerance; the others have the
    spread of trained ones.
    """

    def __init__(self, seed, sharp):
        self.generator, self.sharp = torch.Generator().manual_seed(seed), sharp

    def normal(self, std, *shape, mean=0.0):
        return torch.randn(shape, generator=self.generator) * std + mean

    def token(self, *shape):
        return self.normal(0.5 if self.sharp else 0.02, *shape)

    def linear(self, name, outputs, *inputs):
        weight, bias = (1 / math.sqrt(math.prod(inputs)), 0.1) if self.sharp else (0.02, 0.02)
        return {f"{name}.weight": self.normal(weight, outputs, *inputs), f"{name}.bias": self.normal(bias, outputs)}

    def norm(self, name, dim):
        weight, bias = (0.2, 0.1) if self.sharp else (0.02, 0.02)
        return {f"{name}.weight": self.normal(weight, dim, mean=1.0), f"{name}.bias": self.normal(bias, dim)}

    def layer_scale(self, name, dim):
        gamma = torch.rand(dim, generator=self.generator) * 0.9 + 0.1
        if self.sharp:
            gamma *= torch.randint(0, 2, (dim,), generator=self.generator) * 2 - 1
        return {f"{name}.gamma": gamma}


def random_state(config, seed, sharp):
    """Seeded weights (see `Random`) under the official names, in the order of the official state dict."""
    random, dim = Random(seed, sharp), config.dim
    state = OrderedDict(cls_token=random.token(1, 1, dim), pos_embed=random.token(1, 1 + config.grid**2, dim))
    if config.registers:
        state["register_tokens"] = random.token(1, config.registers, dim)
    state["mask_token"] = random.token(1, dim)
    state.update(random.linear("patch_embed.proj", dim, 3, config.patch, config.patch))
    for index in range(config.depth):
        name = f"blocks.{index}"
        state.update(random.norm(f"{name}.norm1", dim))
        state.update(random.linear(f"{name}.attn.qkv", 3 * dim, dim))
        state.update(random.linear(f"{name}.attn.proj", dim, dim))
        state.update(random.layer_scale(f"{name}.ls1", dim))
        state.update(random.norm(f"{name}.norm2", dim))
        first, last, rows = ("w12", "w3", 2 * config.hidden) if config.swiglu else ("fc1", "fc2", config.hidden)
        state.update(random.linear(f"{name}.mlp.{first}", rows, dim))
        state.update(random.linear(f"{name}.mlp.{last}", dim, config.hidden))
        state.update(random.layer_scale(f"{name}.ls2", dim))
    state.update(random.norm("norm", dim))
    return state


# Original name to Hugging Face name, both as prefixes of a tensor's name.
EMBEDDINGS = {
    "cls_token": "embeddings.cls_token",
    "mask_token": "embeddings.mask_token",
    "pos_embed": "embeddings.position_embeddings",
    "register_tokens": "embeddings.register_tokens",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
BLOCK = {"ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1"}
HUB_ATTENTION = dict(
    q="attention.attention.query", k="attention.attention.key", v="attention.attention.value",
    o="attention.output.dense",
)
HUB_MLP = {"mlp.w12": ("mlp.weights_in",), "mlp.w3": ("mlp.weights_out",)}
TRANSFORMERS5_ATTENTION = {part: f"attention.{part}_proj" for part in "qkvo"}
TRANSFORMERS5_MLP = {"mlp.w12": ("mlp.gate_proj", "mlp.up_proj"), "mlp.w3": ("mlp.down_proj",)}


def rename(state, attention, mlp):
    """The state dict under Hugging Face names; q, k and v, one tensor in the original, are parted, and w12 may be."""
    renamed = OrderedDict()
    for name, tensor in state.items():
        if not name.startswith("blocks."):
            stem = name if name in EMBEDDINGS else name.rpartition(".")[0]
            renamed[EMBEDDINGS[stem] + name[len(stem) :]] = tensor
            continue
        _, index, rest = name.split(".", 2)
        layer = f"encoder.layer.{index}"
        if rest.startswith("attn.qkv."):
            for part, third in zip("qkv", tensor.chunk(3)):
                renamed[f"{layer}.{attention[part]}.{rest.rpartition('.')[2]}"] = third.contiguous()
        elif rest.startswith("attn.proj."):
            renamed[f"{layer}.{attention['o']}.{rest.rpartition('.')[2]}"] = tensor
        elif parts := mlp.get(rest.rpartition(".")[0]):
            for part, piece in zip(parts, tensor.chunk(len(parts))):
                renamed[f"{layer}.{part}.{rest.rpartition('.')[2]}"] = piece.contiguous()
        else:
            renamed[f"{layer}.{BLOCK.get(rest, rest)}"] = tensor
    return renamed


def to_hub(state):
    """The names of the files on the Hugging Face hub, such as facebook/dinov2-base."""
    return rename(state, HUB_ATTENTION, HUB_MLP)


def to_transformers5(state):
    """The names that the modules themselves carry in transformers 5."""
    return rename(state, TRANSFORMERS5_ATTENTION, TRANSFORMERS5_MLP)


def write_safetensors(path, tensors, metadata=None):
    """Like `safetensors.torch.save_file`, but the same input always gives the same bytes.

    The library writes the metadata in the order of a hash map with a random seed.
    """
    data = serialize({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data must begin at a multiple of 8
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
