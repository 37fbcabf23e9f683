"""`make bench-train`: adaptation by homolog-train and by the usual loop in PyTorch, side by side, as a table.

The network is the same (random weights), and so are resolution, threads, points and what is trained. The usual loop runs both images of
every pair through the whole network at every step (`bench_training.py`); homolog-train is run as a person runs it, on a synthetic
benchmark with as many pairs for an image as SPair-71k's training split has in a category. An epoch's time is without its validation,
and without the tokens of frozen blocks, which are computed once for a whole run and stand in a column of their own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
RECIPE = """[training]
learning_rate = 1e-4
weight_decay = 0.05
clip_norm = 1.0
alpha = 0.1
[data]
images_per_batch = 8
pairs_per_batch = {pairs}
flip = 0.0
half_tokens = false
"""


def call(command):
    """Seconds, peak memory in MiB and output of a command that is a process of its own."""
    command = [str(word) for word in command]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed: {output}{errors}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, output


def passes(output):
    """Pairs and passes of an image in an epoch, from a dry run."""
    [line] = [line for line in output.splitlines() if line.startswith("an epoch")]
    words = line.split()
    return int(words[2]), int(words[words.index("passes") - 1]), int(words[words.index("steps,") - 1])


def ours(arguments, mode, method, pairs):
    """Seconds of an epoch and of its frozen tokens, passes of an image, pairs, and memory."""
    out = arguments.out
    recipe, folder, tokens = out / f"{mode}.toml", out / mode, out / f"tokens-{mode}"
    recipe.write_text(RECIPE.format(pairs=pairs))
    for made in (folder, out / f"bundle-{mode}", tokens):
        shutil.rmtree(made, ignore_errors=True)
    data = out / "data"
    command = [arguments.train, mode, *method, "--model", out / "base", "--train", f"spair71k:trn@{data}",
               "--validate", f"spair71k:val@{data}", "--config", recipe, "--epochs", "1", "--resolution", arguments.resolution,
               "--provider", arguments.device, "--out", out / f"bundle-{mode}", "--run", folder, "--token-cache", tokens, "--threads", arguments.threads]
    count, images, _ = passes(call([*command, "--dry-run"])[2])
    # one step, for what is not the epoch: tokens, loading, validation, export
    _, _, _ = call([*command, "--steps", "1"])
    for made in (folder, out / f"bundle-{mode}"):
        shutil.rmtree(made)
    one = out / f"{mode}-one"
    shutil.rmtree(one, ignore_errors=True)
    call([*command[:-6], "--run", one, *command[-4:], "--steps", "1"])
    shutil.rmtree(out / f"bundle-{mode}")
    _, memory, _ = call(command)
    seconds = json.loads((folder / "time.json").read_text()) - json.loads((one / "time.json").read_text())
    return seconds, count, images, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=Path("target/release/homolog-train"))
    parser.add_argument("--out", type=Path, default=Path(".cache/bench-train"))
    parser.add_argument("--name", default="dinov2-vits14")
    parser.add_argument("--resolution", type=int, default=448)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="for both; memory is the host's all the same")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "base").exists():
        call([arguments.train, "export", arguments.name, "--random", "0", "--out", out / "base", "--resolutions", arguments.resolution])
    if not (out / "data").exists():
        call([arguments.train, "synth", "--out", out / "data", "--images", "16,2,0", "--pairs", "240,2,0", "--categories", "car,cat"])
    print("| | PyTorch, usual loop | homolog-train | ratio | memory, MiB |")
    print("|---|---|---|---|---|")
    for mode, method, what in (
        ("finetune", ["--blocks", "2"], "an epoch of the last 2 blocks"),
        ("lora", ["--rank", "8", "--alpha", "16", "--targets", "qkv,proj,mlp"], "LoRA in all products of all blocks, an image's pass"),
    ):
        theirs = json.loads(call([sys.executable, HERE / "bench_training.py", mode, "--name", arguments.name, "--resolution",
                                  arguments.resolution, "--threads", arguments.threads, "--device", arguments.device])[2])
        seconds, pairs, images, memory = ours(arguments, mode, method, 32 if mode == "finetune" else 4)
        if mode == "finetune":
            other, own = theirs["seconds_per_pair"] * pairs, seconds
            what = f"{what}: {pairs} pairs, {images} passes of an image"
        else:
            other, own = theirs["seconds_per_pair"] / 2, seconds / images
        print(f"| {what} | {other:.2f} s | {own:.2f} s | {other / own:.1f}× | {theirs['peak_rss_mib']:.0f} : {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
