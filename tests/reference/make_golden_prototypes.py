"""Makes tests/golden/training/prototypes.safetensors: the loss over prototypes of classes and its gradients.

    python tests/reference/make_golden_prototypes.py [--out tests/golden]

Cosines of L2-normalised descriptors with L2-normalised, learned vectors, over a temperature, through PyTorch's cross entropy: Zhai
and Wu 2019, "Classification is a Strong Baseline for Deep Metric Learning", section 3.1. Double precision, rounded once.

    descriptors          [I, h*w, C]
    grid                 [2]          h, w
    classes              [I, h*w]     -1 where it is not known: such a token takes no part
    prototypes           [K, C]
    temperature, loss    [1]
    gradient.descriptors [I, h*w, C]
    gradient.prototypes  [K, C]
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from dinov2 import write_safetensors

SEED, IMAGES, GRID, CHANNELS, CLASSES, TEMPERATURE = 21, 3, (3, 4), 6, 5, 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "golden")
    out = parser.parse_args().out
    generator = torch.Generator().manual_seed(SEED)
    tokens = GRID[0] * GRID[1]
    descriptors = torch.randn(IMAGES, tokens, CHANNELS, generator=generator).double().requires_grad_()
    prototypes = torch.randn(CLASSES, CHANNELS, generator=generator).double().requires_grad_()
    classes = torch.randint(-1, CLASSES, (IMAGES, tokens), generator=generator)
    cosines = F.normalize(descriptors.flatten(0, 1), dim=1) @ F.normalize(prototypes, dim=1).T
    loss = F.cross_entropy(cosines / TEMPERATURE, classes.flatten(), ignore_index=-1)
    loss.backward()
    write_safetensors(out / "training" / "prototypes.safetensors", {
        "descriptors": descriptors.detach().float(),
        "grid": torch.tensor(GRID).float(),
        "classes": classes.float(),
        "prototypes": prototypes.detach().float(),
        "temperature": torch.tensor([TEMPERATURE]).float(),
        "loss": loss.detach().reshape(1).float(),
        "gradient.descriptors": descriptors.grad.float(),
        "gradient.prototypes": prototypes.grad.float(),
    })


if __name__ == "__main__":
    main()
