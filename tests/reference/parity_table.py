"""`make parity`: a network at full size, PyTorch and Homolog side by side, as a table.

Every measurement is a process of its own, so that peak memory is that program's alone. Weights are random, under the official
names in an official-style .pth; the expected descriptors are those of the official formula (NETWORKS of parity.py beside this file).
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import parity

HERE = pathlib.Path(__file__).parent


def call(command):
    """The JSON that a command prints last; its errors go to the terminal."""
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed: {result.stdout}")
    lines = result.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1][0] in "[{" else None


# The networks of the paper, at their usual resolutions.
USUAL = {"dinov2-vitb14": [518, 448], "dinov3-vitb16": [512], "sam-vitb16": [1024]}


def rows(arguments, name, resolutions):
    folder = arguments.out / name
    folder.mkdir(parents=True, exist_ok=True)
    reference = [sys.executable, HERE / "parity.py"]
    call([*reference, "prepare", "--name", name, "--out", folder])
    bundle = folder / "bundle"
    shutil.rmtree(bundle, ignore_errors=True)
    sides = ",".join(map(str, sorted(resolutions)))
    call([arguments.train, "export", name, "--weights", folder / "original.pth", "--out", bundle, "--resolutions", sides])
    for side in resolutions:
        common = ["--threads", arguments.threads, "--repeat", arguments.repeat, "--json"]
        theirs = call([*reference, "run", "--name", name, "--dir", folder, "--resolution", side, *common])
        verified = call([arguments.train, "verify", bundle, "--golden", folder / f"golden-{side}.safetensors",
                         "--provider", "cpu", *common])
        [ours] = verified["rows"]
        ratio = theirs["milliseconds"] / ours["milliseconds"]
        print(f"| {name} | {side}×{side} | {ours['relative_error']:.1e} | {theirs['milliseconds']:.0f} | "
              f"{ours['milliseconds']:.0f} | {ratio:.2f}× | {theirs['peak_rss_mib']:.0f} | {ours['peak_rss_mib']} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=pathlib.Path, required=True, help="the homolog-train binary")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for weights, bundles and tensors")
    parser.add_argument("--name", choices=parity.NETWORKS, help="one network instead of the usual three")
    parser.add_argument("--resolutions", type=int, nargs="+", help="its resolutions, in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if bool(arguments.name) != bool(arguments.resolutions):
        parser.error("--name and --resolutions go together")
    networks = {arguments.name: arguments.resolutions} if arguments.name else USUAL
    print("| network | input | relative error | PyTorch ms | Homolog ms | ratio | PyTorch MiB | Homolog MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, resolutions in networks.items():
        rows(arguments, name, resolutions)


if __name__ == "__main__":
    main()
