"""`make parity`: a network at full size, PyTorch and Homolog side by side, as a table.

Every measurement is a process of its own, so that peak memory is that program's alone. Weights are random, under the official
names in an official-style .pth; the expected descriptors are those of the official formula (dinov2.py and sam.py beside this file).
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def call(command):
    """The JSON that a command prints last; its errors go to the terminal."""
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed: {result.stdout}")
    lines = result.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1][0] in "[{" else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=pathlib.Path, required=True, help="the homolog-train binary")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for weights, bundles and tensors")
    parser.add_argument("--name", default="dinov2-vitb14")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[518, 448])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()

    folder = arguments.out / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    reference = [sys.executable, HERE / "parity.py"]
    call([*reference, "prepare", "--name", arguments.name, "--out", folder])
    bundle = folder / "bundle"
    shutil.rmtree(bundle, ignore_errors=True)
    sides = ",".join(map(str, sorted(arguments.resolutions)))
    call([arguments.train, "export", arguments.name, "--weights", folder / "original.pth", "--out", bundle,
          "--resolutions", sides])

    print("| network | input | relative error | PyTorch ms | Homolog ms | ratio | PyTorch MiB | Homolog MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for side in arguments.resolutions:
        common = ["--threads", arguments.threads, "--repeat", arguments.repeat, "--json"]
        theirs = call([*reference, "run", "--name", arguments.name, "--dir", folder, "--resolution", side, *common])
        [ours] = call([arguments.train, "verify", bundle, "--golden", folder / f"golden-{side}.safetensors",
                       "--provider", "cpu", *common])
        ratio = theirs["milliseconds"] / ours["milliseconds"]
        print(f"| {arguments.name} | {side}×{side} | {ours['relative_error']:.1e} | {theirs['milliseconds']:.0f} | "
              f"{ours['milliseconds']:.0f} | {ratio:.2f}× | {theirs['peak_rss_mib']:.0f} | {ours['peak_rss_mib']} |", flush=True)


if __name__ == "__main__":
    main()
