"""The PyTorch half of `make parity`: a full-size network with seeded random weights, its features, time and memory.

    parity.py prepare --name dinov2-vitb14 --out DIR       DIR/original.pth, unless it is there
    parity.py run --name dinov2-vitb14 --dir DIR --resolution 518 [--threads 2] [--repeat 3] [--json]
                                                            DIR/golden-518.safetensors and the measurements

Parity of the arithmetic does not depend on the weights having been trained; real weights in DIR/original.pth, under
the official names, work as well. `run` measures its own process: start one for each measurement.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

import dinov2
import dinov3
import sam
from dinov2 import write_safetensors

# A family's module has CONFIGS by name, random_state(config, seed, sharp) and forward(state, config, images, split).
FAMILIES = (dinov2, dinov3, sam)
NETWORKS = {name: (family, config) for family in FAMILIES for name, config in family.CONFIGS.items()}
SPLIT = 4
SEED = 14


def prepare(arguments):
    path = arguments.out / "original.pth"
    if path.exists():
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    # never leaves half a file under the final name
    partial = path.with_suffix(".partial")
    family, config = NETWORKS[arguments.name]
    torch.save(family.random_state(config, SEED, sharp=False), partial)
    partial.rename(path)


def peak_rss_mib():
    """The most memory that this process has held (VmHWM), or None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return None
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def run(arguments):
    (family, config), resolution = NETWORKS[arguments.name], arguments.resolution
    if resolution % config.patch:
        raise SystemExit(f"the resolution {resolution} is no multiple of the patch, {config.patch}")
    torch.set_num_threads(arguments.threads)
    state = torch.load(arguments.dir / "original.pth", weights_only=True)
    generator = torch.Generator().manual_seed(SEED + resolution)
    images = torch.randn(1, 3, resolution, resolution, generator=generator)

    milliseconds = []
    with torch.inference_mode():
        for _ in range(1 + arguments.repeat):
            start = time.perf_counter()
            features = family.forward(state, config, images, SPLIT)
            milliseconds.append((time.perf_counter() - start) * 1000)
    peak = peak_rss_mib()  # before the file is written, which is not part of the measurement
    assert features.prenorm.isfinite().all()

    tensors = dict(input=images) | vars(features)
    metadata = config.metadata(split=SPLIT, name=arguments.name, torch=torch.__version__)
    write_safetensors(arguments.dir / f"golden-{resolution}.safetensors", tensors, metadata)

    measured = {
        "resolution": resolution,
        "milliseconds": round(statistics.median(milliseconds[1:]), 2),  # the first is the warm-up
        "peak_rss_mib": peak and round(peak, 1),
        "torch": torch.__version__,
    }
    if arguments.json:
        print(json.dumps(measured))
    else:
        print("\n".join(f"{key:13} {value}" for key, value in measured.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for command in (prepare, run):
        sub = commands.add_parser(command.__name__)
        sub.set_defaults(command=command)
        sub.add_argument("--name", choices=NETWORKS, required=True)
        if command is prepare:
            sub.add_argument("--out", type=Path, required=True)
            continue
        sub.add_argument("--dir", type=Path, required=True)
        sub.add_argument("--resolution", type=int, default=518)
        sub.add_argument("--threads", type=int, default=2)
        sub.add_argument("--repeat", type=int, default=3)
        sub.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
