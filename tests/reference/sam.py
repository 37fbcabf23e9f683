"""SAM's image encoder in plain torch functions over a state dict: what the Rust and ONNX backbones are measured against.

Written from the formulas of the official release (facebookresearch/segment-anything, Apache-2.0,
segment_anything/modeling/image_encoder.py); a state dict here always carries that release's names.
Shapes: B images, [h, w] patches, C channels; tokens are [B, h, w, C] here and [B, h*w, C] in files.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from dinov2 import layer_norm, linear

LAYER_NORM_EPS = 1e-6
PREFIX = "image_encoder."


@dataclass(frozen=True)
class Config:
    dim: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]  # the others attend within windows
    window: int = 14
    patch: int = 16
    grid: int = 64  # side M of the square grid that the positions were trained on
    mlp_ratio: int = 4
    neck: int = 256

    def metadata(self, **more):
        """The configuration as safetensors metadata, whose values must be strings."""
        fields = dict(dim=self.dim, depth=self.depth, heads=self.heads, global_blocks=self.global_blocks,
                      window=self.window, patch=self.patch, grid=self.grid, mlp_ratio=self.mlp_ratio, neck=self.neck,
                      layer_norm_eps=LAYER_NORM_EPS)
        return {key: str(value) for key, value in (fields | more).items()}


CONFIGS = {
    "sam-vitb16": Config(768, 12, 12, (2, 5, 8, 11)),
    "sam-vitl16": Config(1024, 24, 16, (5, 11, 17, 23)),
    "sam-vith16": Config(1280, 32, 16, (7, 15, 23, 31)),
}


@dataclass(frozen=True)
class Features:
    tokens: torch.Tensor  # [B, h*w, C] after `split` blocks
    prenorm: torch.Tensor  # [B, h, w, C]: the last block's output; there is no final norm
    neck: torch.Tensor  # [B, h, w, neck]


def position_embedding(state, config, rows, columns):
    """`pos_embed` fitted to `rows` x `columns` patches: [1, rows, columns, C].

    The official code knows the trained grid alone. Elsewhere this follows Probe3D (evals/models/sam.py).
    """
    embedding = state[f"{PREFIX}pos_embed"]
    if rows == columns == config.grid:
        return embedding
    fitted = F.interpolate(embedding.permute(0, 3, 1, 2), size=(rows, columns), mode="bicubic")
    return fitted.permute(0, 2, 3, 1)


def relative_positions(table, size):
    """`get_rel_pos` for as many queries as keys: [size, size, D], for query i and key j."""
    distances = 2 * size - 1
    if len(table) != distances:
        table = F.interpolate(table.T[None], size=distances, mode="linear")[0].T
    places = torch.arange(size)
    return table[places[:, None] - places[None, :] + size - 1]


def attention(state, name, heads, x):
    """Attention among the tokens of each [h, w] of x [B, h, w, C], with decomposed relative positions."""
    batch, rows, columns, dim = x.shape
    # the rows of qkv are q, k, v, and heads within each
    qkv = linear(state, f"{name}.qkv", x).reshape(batch, rows * columns, 3, heads, dim // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    unscaled = q.reshape(batch, heads, rows, columns, dim // heads)
    by_row = relative_positions(state[f"{name}.rel_pos_h"], rows)
    by_column = relative_positions(state[f"{name}.rel_pos_w"], columns)
    bias_h = torch.einsum("bnhwc,hkc->bnhwk", unscaled, by_row)
    bias_w = torch.einsum("bnhwc,wkc->bnhwk", unscaled, by_column)
    bias = (bias_h[..., :, None] + bias_w[..., None, :]).reshape(batch, heads, rows * columns, rows * columns)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return linear(state, f"{name}.proj", mixed.transpose(1, 2).reshape(batch, rows, columns, dim))


def windowed_attention(state, name, heads, window, x):
    """The same within windows. What fills the last windows is zero after the norm, and takes part."""
    batch, rows, columns, dim = x.shape
    down, across = -(-rows // window), -(-columns // window)
    x = F.pad(x, (0, 0, 0, across * window - columns, 0, down * window - rows))
    x = x.reshape(batch, down, window, across, window, dim).transpose(2, 3)
    x = attention(state, name, heads, x.reshape(-1, window, window, dim))
    x = x.reshape(batch, down, across, window, window, dim).transpose(2, 3)
    return x.reshape(batch, down * window, across * window, dim)[:, :rows, :columns]


def block(state, config, index, x):
    name = f"{PREFIX}blocks.{index}"
    normed = layer_norm(state, f"{name}.norm1", x)
    if index in config.global_blocks:
        x = x + attention(state, f"{name}.attn", config.heads, normed)
    else:
        x = x + windowed_attention(state, f"{name}.attn", config.heads, config.window, normed)
    hidden = F.gelu(linear(state, f"{name}.mlp.lin1", layer_norm(state, f"{name}.norm2", x)))  # the exact, erf form
    return x + linear(state, f"{name}.mlp.lin2", hidden)


def neck(state, x):
    """[B, h, w, C] to [B, h, w, neck]. `LayerNorm2d` is a LayerNorm over the channels of each place."""
    x = F.conv2d(x.permute(0, 3, 1, 2), state[f"{PREFIX}neck.0.weight"])
    x = layer_norm(state, f"{PREFIX}neck.1", x.permute(0, 2, 3, 1))
    x = F.conv2d(x.permute(0, 3, 1, 2), state[f"{PREFIX}neck.2.weight"], padding=1)
    return layer_norm(state, f"{PREFIX}neck.3", x.permute(0, 2, 3, 1))


def forward(state, config, images, split):
    """Features of `images` [B, 3, H, W], already normalised; H and W are multiples of the patch."""
    proj = f"{PREFIX}patch_embed.proj"
    x = F.conv2d(images, state[f"{proj}.weight"], state[f"{proj}.bias"], stride=config.patch).permute(0, 2, 3, 1)
    x = x + position_embedding(state, config, *x.shape[1:3])
    tokens = x if split == 0 else None
    for index in range(config.depth):
        x = block(state, config, index, x)
        if index + 1 == split:
            tokens = x
    return Features(tokens.flatten(1, 2), x, neck(state, x))


def random_state(config, seed, sharp):
    """Seeded weights under the official names, in the order of the official state dict, and what else such a file holds.

    `sharp` makes every tensor matter, so that one swapped, missing or misplaced changes the features by far more
    than a tolerance of 1e-3. Without it the scales stay sane at full depth; the relative positions matter in both.
    """
    generator = torch.Generator().manual_seed(seed)
    dim, patch, head = config.dim, config.patch, config.dim // config.heads

    def normal(std, *shape, mean=0.0):
        return torch.randn(shape, generator=generator) * std + mean

    def weight(name, outputs, *inputs):
        return {f"{name}.weight": normal(1 / math.sqrt(math.prod(inputs)) if sharp else 0.02, outputs, *inputs)}

    def dense(name, outputs, *inputs):
        return weight(name, outputs, *inputs) | {f"{name}.bias": normal(0.1 if sharp else 0.02, outputs)}

    def norm(name, size):
        spread = (0.2, 0.1) if sharp else (0.02, 0.02)
        return {f"{name}.weight": normal(spread[0], size, mean=1.0), f"{name}.bias": normal(spread[1], size)}

    def table(name, size):
        return {name: normal(0.5 if sharp else 0.1, 2 * size - 1, head)}

    state = OrderedDict(pos_embed=normal(0.5 if sharp else 0.02, 1, config.grid, config.grid, dim))
    state.update(dense("patch_embed.proj", dim, 3, patch, patch))
    for index in range(config.depth):
        name = f"blocks.{index}"
        side = config.grid if index in config.global_blocks else config.window
        state.update(norm(f"{name}.norm1", dim))
        state.update(table(f"{name}.attn.rel_pos_h", side))
        state.update(table(f"{name}.attn.rel_pos_w", side))
        state.update(dense(f"{name}.attn.qkv", 3 * dim, dim))
        state.update(dense(f"{name}.attn.proj", dim, dim))
        state.update(norm(f"{name}.norm2", dim))
        state.update(dense(f"{name}.mlp.lin1", config.mlp_ratio * dim, dim))
        state.update(dense(f"{name}.mlp.lin2", dim, config.mlp_ratio * dim))
    state.update(weight("neck.0", config.neck, dim, 1, 1))
    state.update(norm("neck.1", config.neck))
    state.update(weight("neck.2", config.neck, config.neck, 3, 3))
    state.update(norm("neck.3", config.neck))
    state = OrderedDict((PREFIX + name, value) for name, value in state.items())
    # the rest of SAM stands in the same file; two tensors are enough to show that it is left alone
    state["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"] = normal(1.0, 2, 4)
    state["mask_decoder.iou_token.weight"] = normal(1.0, 1, 8)
    return state


# Original name to Hugging Face name, both as parts of a tensor's name.
HUB = {
    "image_encoder": "vision_encoder", "blocks": "layers", "patch_embed.proj": "patch_embed.projection",
    "norm1": "layer_norm1", "norm2": "layer_norm2", "neck.0": "neck.conv1", "neck.1": "neck.layer_norm1",
    "neck.2": "neck.conv2", "neck.3": "neck.layer_norm2",
    "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": "shared_image_embedding.positional_embedding",
}


def to_hub(state):
    """The names of the files on the Hugging Face hub, such as facebook/sam-vit-base; transformers 5 has them too."""
    renamed = OrderedDict()
    for name, tensor in state.items():
        dotted = f".{name}."
        for original, hub in HUB.items():
            dotted = dotted.replace(f".{original}.", f".{hub}.")
        renamed[dotted.strip(".")] = tensor
    return renamed
