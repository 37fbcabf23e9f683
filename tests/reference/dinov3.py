"""DINOv3 in plain torch functions over a state dict: what the Rust and ONNX backbones are measured against.

Written from the formulas of the official release (facebookresearch/dinov3: dinov3/models/vision_transformer.py,
dinov3/layers/{attention,rope_position_encoding,ffn_layers}.py, dinov3/hub/backbones.py); a state dict here always carries
that release's names. Shapes: B images, [h, w] patches, C channels, D channels a head; tokens are [B, prefix + h*w, C], the
prefix being CLS and the storage tokens.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import dinov2
from dinov2 import Features, linear

LAYER_NORM_EPS = 1e-5  # `layernormbf16`, which the hub's networks have at any precision
ROPE_BASE = 100.0


@dataclass(frozen=True)
class Config:
    dim: int
    depth: int
    heads: int
    hidden: int  # channels inside the MLP
    swiglu: bool = False
    registers: int = 4  # `n_storage_tokens`
    patch: int = 16

    @property
    def prefix(self):
        return 1 + self.registers

    def metadata(self, **more):
        """The configuration as safetensors metadata, whose values must be strings."""
        fields = dict(dim=self.dim, depth=self.depth, heads=self.heads, hidden=self.hidden, swiglu=self.swiglu,
                      registers=self.registers, patch=self.patch, layer_norm_eps=LAYER_NORM_EPS, rope_base=ROPE_BASE)
        return {key: str(value) for key, value in (fields | more).items()}


CONFIGS = {
    "dinov3-vits16": Config(384, 12, 6, 1536),
    "dinov3-vits16plus": Config(384, 12, 6, 1536, swiglu=True),
    "dinov3-vitb16": Config(768, 12, 12, 3072),
    "dinov3-vitl16": Config(1024, 24, 16, 4096),
}


def rope_periods(config):
    """`rope_embed.periods` [D/4] as the released files have it: computed and kept in bfloat16 when they were trained."""
    quarter = config.dim // config.heads // 4
    return ROPE_BASE ** (2 * torch.arange(quarter, dtype=torch.bfloat16) / (2 * quarter))


def rope(periods, rows, columns):
    """Sines and cosines [rows*columns, D], in fp32: the hub's networks load the periods over an fp32 buffer."""
    y = torch.arange(0.5, rows) / rows
    x = torch.arange(0.5, columns) / columns
    places = 2.0 * torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1) - 1.0
    angles = 2 * math.pi * places[:, :, None] / periods.float()[None, None, :]
    angles = angles.flatten(1, 2).tile(2)
    return angles.sin(), angles.cos()


def turn(x, sines, cosines):
    """Rotary positions on the patches of `x` [B, heads, prefix + h*w, D]; the prefix has none."""
    prefix, patches = x.split((x.shape[-2] - sines.shape[-2], sines.shape[-2]), dim=-2)
    first, second = patches.chunk(2, dim=-1)
    return torch.cat((prefix, patches * cosines + torch.cat((-second, first), dim=-1) * sines), dim=-2)


def attention(state, name, heads, x, sines, cosines):
    batch, length, dim = x.shape
    # the mask is one, but zero in K's third
    bias = state[f"{name}.qkv.bias"] * state[f"{name}.qkv.bias_mask"]
    qkv = F.linear(x, state[f"{name}.qkv.weight"], bias)
    q, k, v = qkv.reshape(batch, length, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(turn(q, sines, cosines), turn(k, sines, cosines), v)
    return linear(state, f"{name}.proj", mixed.transpose(1, 2).reshape(batch, length, dim))


def mlp(state, name, x):
    if f"{name}.w3.weight" in state:
        return linear(state, f"{name}.w3", F.silu(linear(state, f"{name}.w1", x)) * linear(state, f"{name}.w2", x))
    return linear(state, f"{name}.fc2", F.gelu(linear(state, f"{name}.fc1", x)))


def norm(state, name, x):
    return dinov2.layer_norm(state, name, x, LAYER_NORM_EPS)


def block(state, index, heads, x, *rope):
    name = f"blocks.{index}"
    x = x + state[f"{name}.ls1.gamma"] * attention(state, f"{name}.attn", heads, norm(state, f"{name}.norm1", x), *rope)
    return x + state[f"{name}.ls2.gamma"] * mlp(state, f"{name}.mlp", norm(state, f"{name}.norm2", x))


def forward(state, config, images, split):
    """Features of `images` [B, 3, H, W], already normalised; H and W are multiples of the patch."""
    rows, columns = (side // config.patch for side in images.shape[-2:])
    patches = F.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=config.patch)
    prefix = torch.cat((state["cls_token"], state["storage_tokens"]), dim=1).expand(images.shape[0], -1, -1)
    x = torch.cat((prefix, patches.flatten(2).transpose(1, 2)), dim=1)
    positions = rope(state["rope_embed.periods"], rows, columns)
    tokens = x if split == 0 else None
    for index in range(config.depth):
        x = block(state, index, config.heads, x, *positions)
        if index + 1 == split:
            tokens = x

    def grid(x):
        return x[:, config.prefix :].reshape(-1, rows, columns, config.dim)

    return Features(tokens, grid(x), grid(norm(state, "norm", x)))


def random_state(config, seed, sharp):
    """Seeded weights (see `dinov2.Random`) under the official names, in the order of the official state dict."""
    random, dim = dinov2.Random(seed, sharp), config.dim
    state = OrderedDict(cls_token=random.token(1, 1, dim), storage_tokens=random.token(1, config.registers, dim),
                        mask_token=random.token(1, dim))
    state.update(random.linear("patch_embed.proj", dim, 3, config.patch, config.patch))
    state["rope_embed.periods"] = rope_periods(config)
    for index in range(config.depth):
        name = f"blocks.{index}"
        state.update(random.norm(f"{name}.norm1", dim))
        state.update(random.linear(f"{name}.attn.qkv", 3 * dim, dim))
        mask = torch.ones(3, dim)
        mask[1] = 0
        state[f"{name}.attn.qkv.bias_mask"] = mask.flatten()
        state.update(random.linear(f"{name}.attn.proj", dim, dim))
        state.update(random.layer_scale(f"{name}.ls1", dim))
        state.update(random.norm(f"{name}.norm2", dim))
        for product in ("w1", "w2") if config.swiglu else ("fc1",):
            state.update(random.linear(f"{name}.mlp.{product}", config.hidden, dim))
        state.update(random.linear(f"{name}.mlp.{'w3' if config.swiglu else 'fc2'}", dim, config.hidden))
        state.update(random.layer_scale(f"{name}.ls2", dim))
    state.update(random.norm("norm", dim))
    return state


# Original name to Hugging Face name, as prefixes of a tensor's name.
EMBEDDINGS = {
    "cls_token": "embeddings.cls_token",
    "mask_token": "embeddings.mask_token",
    "storage_tokens": "embeddings.register_tokens",
    "patch_embed.proj": "embeddings.patch_embeddings",
    "norm": "norm",
}
BLOCK = {
    "ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1", "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.up_proj", "mlp.fc2": "mlp.down_proj",
    "mlp.w1": "mlp.gate_proj", "mlp.w2": "mlp.up_proj", "mlp.w3": "mlp.down_proj",
}


def rename(state, layer):
    """The state dict under Hugging Face names, a block being `{layer}.N`: q, k and v parted, no K bias, no buffers."""
    renamed = OrderedDict()
    for name, tensor in state.items():
        stem, _, suffix = name.rpartition(".")
        if suffix in ("periods", "bias_mask"):
            continue
        if not name.startswith("blocks."):
            renamed[EMBEDDINGS[name] if name in EMBEDDINGS else f"{EMBEDDINGS[stem]}.{suffix}"] = tensor
            continue
        _, index, rest = stem.split(".", 2)
        if rest == "attn.qkv":
            for part, third in zip("qkv", tensor.chunk(3)):
                if (part, suffix) != ("k", "bias"):
                    renamed[f"{layer}.{index}.attention.{part}_proj.{suffix}"] = third.contiguous()
        elif f"{rest}.{suffix}" in BLOCK:
            renamed[f"{layer}.{index}.{BLOCK[f'{rest}.{suffix}']}"] = tensor
        else:
            renamed[f"{layer}.{index}.{BLOCK.get(rest, rest)}.{suffix}"] = tensor
    renamed["embeddings.mask_token"] = renamed["embeddings.mask_token"].unsqueeze(1)
    return renamed


def to_hub(state):
    """The names of the files on the Hugging Face hub, such as facebook/dinov3-vitb16-pretrain-lvd1689m."""
    return rename(state, "layer")


def to_transformers5(state):
    """The names that the modules themselves carry in transformers 5."""
    return rename(state, "model.layer")
