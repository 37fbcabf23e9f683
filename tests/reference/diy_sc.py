"""The DIY-SC adapter: one residual bottleneck with group norms over DINOv2's descriptors, as a formula over its state dict.

In our own words, after odunkel/DIY-SC (model_utils/projection_network.py, model_utils/resnet.py; the block is that of
detectron2). Convolutions have no bias, norms have 32 groups and PyTorch's epsilon, the input is not normalised, and the
mixture of feature maps has one member, whose weight is softmax([w]) = 1.
"""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F

BLOCK = "bottleneck_layers.0.0"
GROUPS = 32
EPSILON = 1e-5


def convolve(state, name, x):
    kernel = state[f"{BLOCK}.{name}.weight"]
    x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
    return F.group_norm(x, GROUPS, state[f"{BLOCK}.{name}.norm.weight"], state[f"{BLOCK}.{name}.norm.bias"], EPSILON)


def forward(state, descriptors):
    """Descriptors [B, h, w, C] as DINOv2 gives them before its last norm, to the adapter's [B, h, w, C']."""
    x = descriptors.permute(0, 3, 1, 2)
    inner = F.relu(convolve(state, "conv1", x))
    inner = F.relu(convolve(state, "conv2", inner))
    branch = convolve(state, "conv3", inner)
    shortcut = convolve(state, "shortcut", x) if f"{BLOCK}.shortcut.weight" in state else x
    mixed = torch.softmax(state["mixing_weights"], 0)[0] * F.relu(branch + shortcut)
    return mixed.permute(0, 2, 3, 1)


def modules(state):
    """The same block out of PyTorch's modules and in double precision, as an independent check of the formula."""
    nn = torch.nn

    def layer(name):
        kernel = state[f"{BLOCK}.{name}.weight"]
        rows, columns, side, _ = kernel.shape
        conv, norm = nn.Conv2d(columns, rows, side, padding="same", bias=False), nn.GroupNorm(GROUPS, rows)
        conv.load_state_dict({"weight": kernel})
        norm.load_state_dict({part: state[f"{BLOCK}.{name}.norm.{part}"] for part in ("weight", "bias")})
        return nn.Sequential(conv, norm).double()

    branch = nn.Sequential(layer("conv1"), nn.ReLU(), layer("conv2"), nn.ReLU(), layer("conv3"))
    shortcut = layer("shortcut") if f"{BLOCK}.shortcut.weight" in state else nn.Identity()

    def run(descriptors):
        x = descriptors.permute(0, 3, 1, 2)
        return torch.relu(branch(x) + shortcut(x)).permute(0, 2, 3, 1)

    return run


def random_state(inputs, width, outputs, seed):
    """Seeded weights under the published names, at the scales of the published files."""
    generator = torch.Generator().manual_seed(seed)

    def normal(std, *shape, mean=0.0):
        return torch.randn(shape, generator=generator) * std + mean

    state = OrderedDict(logit_scale=torch.tensor(math.log(1 / 0.07)), self_logit_scale=torch.tensor(math.log(10.0)),
                        mixing_weights=torch.tensor([0.6]))
    layers = [("conv1", width, inputs, 1), ("conv2", width, width, 3), ("conv3", outputs, width, 1)]
    if inputs != outputs:
        layers.insert(0, ("shortcut", outputs, inputs, 1))
    for name, rows, columns, side in layers:
        state[f"{BLOCK}.{name}.weight"] = normal(1.0, rows, columns, side, side)
        state[f"{BLOCK}.{name}.norm.weight"] = normal(0.4, rows, mean=1.3)
        state[f"{BLOCK}.{name}.norm.bias"] = normal(0.5, rows)
    return state


def patterned(batch, height, width, channels):
    """Descriptors that any language makes to the bit: a multiplicative hash of the place, in steps of 1/8192 on [-4, 4)."""
    place = torch.arange(batch * height * width * channels, dtype=torch.int64)
    hashed = (place * 2654435761 % 2**32) >> 16
    return ((hashed - 32768).float() / 8192).reshape(batch, height, width, channels)
