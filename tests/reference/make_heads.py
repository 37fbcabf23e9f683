"""Makes tests/golden/heads: adapters and debiased descriptors over the tiny DINOv2 of tests/golden/dinov2-plain.

    python tests/reference/make_heads.py [--out tests/golden] [--diy-sc ../shared/data/diy-sc]

Run after make_golden.py, whose files it reads. Seeded: a second run with the pinned versions writes the same bytes. The
published adapters are not in the repository, only what they give; without them that file stays as it is.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

import debias
import dinov2
import diy_sc
from dinov2 import write_safetensors

TINY = dinov2.Config(dim=16, depth=3, heads=2, registers=0, grid=5)
RESOLUTION = 70
SIZES = ["70x70", "42x56", "84x140"]
DIRECTIONS = 4
# name: input, width, output. The first fits the tiny network, the second has the identity as its shortcut.
SYNTHETIC = {"narrow": (16, 32, 64), "identity": (64, 32, 64)}
PUBLISHED = ["0300_dino_spair", "0368_dino_spair_fdim_128", "0369_dino_spair_fdim_384"]
GRID = (1, 4, 5)


def relative_error(value, truth):
    return float((value - truth).norm() / truth.norm())


def adapted(state, descriptors):
    """By the formula, compared with PyTorch's modules in double precision."""
    value = diy_sc.forward(state, descriptors)
    error = relative_error(value.double(), diy_sc.modules(state)(descriptors.double()))
    assert error <= 2e-6, error
    return value, error


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    parser.add_argument("--diy-sc", type=Path, default=Path("../shared/data/diy-sc"))
    arguments = parser.parse_args()
    golden, out = arguments.out, arguments.out / "heads"
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order

    network = torch.load(golden / "dinov2-plain/original.pth", weights_only=True)
    images = load_file(golden / "dinov2-inputs.safetensors")
    features = {size: dinov2.forward(network, TINY, images[f"{size}.input"].float(), 1) for size in SIZES}

    tensors = {}
    for seed, (name, sizes) in enumerate(SYNTHETIC.items(), 11):
        state = diy_sc.random_state(*sizes, seed)
        if name == "narrow":
            torch.save(state, out / f"{name}.pth")  # the container of the published files
            for size in SIZES:
                tensors[f"{name}.{size}"], error = adapted(state, features[size].prenorm)
        else:
            write_safetensors(out / f"{name}.safetensors", state)
            tensors[name], error = adapted(state, diy_sc.patterned(2, 4, 5, sizes[0]))
        print(f"{name:26} relative error of single against double precision {error:.1e}")
    write_safetensors(out / "synthetic.safetensors", tensors)

    tensors = {}
    for name in PUBLISHED:
        path = arguments.diy_sc / f"{name}.pth"
        if not path.exists():
            print(f"{path} is not there: published.safetensors stays as it is")
            break
        state = torch.load(path, weights_only=True, map_location="cpu")
        tensors[name], error = adapted(state, diy_sc.patterned(*GRID, 768))
        print(f"{name:26} relative error of single against double precision {error:.1e}")
    else:
        write_safetensors(out / "published.safetensors", tensors)

    tensors = {}
    black = dinov2.forward(network, TINY, debias.black_image(RESOLUTION), 1)
    for feature in ("prenorm", "postnorm"):
        basis = debias.basis(getattr(black, feature), DIRECTIONS)
        # Signs and turns within the basis are free; the projection is not.
        tensors[f"{feature}.projection"] = basis @ basis.T
        tensors[f"{feature}.black"] = debias.debias(getattr(black, feature), basis)
        for size in SIZES:
            tensors[f"{feature}.{size}"] = debias.debias(getattr(features[size], feature), basis)
    write_safetensors(out / "debias.safetensors", tensors, {"directions": str(DIRECTIONS), "resolution": str(RESOLUTION)})


if __name__ == "__main__":
    with torch.no_grad():
        main()
