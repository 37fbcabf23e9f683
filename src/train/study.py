"""The paper's comparison over one backbone and a synthetic benchmark: `make study`.

Light fine-tuning of the last 1, 2 and 4 blocks and two LoRA recipes, each trained by `homolog-train` with the same pairs, seed and
number of epochs and measured by `homolog eval` on the test split, whose instances nobody has seen. Prints a table in Markdown. What is
there already in --out is not trained again: a study that was stopped goes on.
"""

import argparse
import json
import math
import shutil
import subprocess
from pathlib import Path

REGIMES = {
    "finetune-1": ["finetune", "--blocks", "1", "--recipe", "light"],
    "finetune-2": ["finetune", "--blocks", "2", "--recipe", "light"],
    "finetune-4": ["finetune", "--blocks", "4", "--recipe", "light"],
    "lora-weak": ["lora", "--rank", "4", "--alpha", "4", "--targets", "q,v", "--recipe", "lora-weak"],
    "lora-strong": ["lora", "--rank", "16", "--alpha", "32", "--targets", "qkv,proj,mlp", "--recipe", "lora-strong"],
}
NAMES = {
    "finetune-1": "last block", "finetune-2": "last 2 blocks", "finetune-4": "last 4 blocks",
    "lora-weak": "LoRA, weak: r 4, q and v, 1e-4", "lora-strong": "LoRA, strong: r 16, all products, 1e-3",
}
SOFT = "window-soft-argmax"


def run(*command, **options):
    print("$", " ".join(str(word) for word in command), flush=True)
    return subprocess.run([str(word) for word in command], check=True, **options)


def trained_parameters(run_folder):
    """Of the checkpoint with the best validation, which has no moments: its header lists every tensor's shape."""
    with (run_folder / "checkpoints" / "best.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name.startswith("parameters."))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=Path("target/release"), help="where homolog and homolog-train are")
    parser.add_argument("--model", type=Path, default=Path("models/demo"))
    parser.add_argument("--out", type=Path, default=Path(".cache/study"))
    parser.add_argument("--images", default="40,10,25", help="of each category in trn, val and test")
    parser.add_argument("--pairs", default="160,30,60")
    parser.add_argument("--epochs", default="5")
    parser.add_argument("--resolution", default="224", help="of training and measuring, px")
    arguments = parser.parse_args()
    train, out = arguments.bin / "homolog-train", arguments.out
    data, models, base = out / "data", out / "models", arguments.model.name
    models.mkdir(parents=True, exist_ok=True)
    if not data.exists():
        run(train, "synth", "--out", data, "--seed", "7", "--images", arguments.images, "--pairs", arguments.pairs)
    if not (models / base).exists():
        shutil.copytree(arguments.model, models / base)
    for name, method in REGIMES.items():
        if not (models / name).exists():
            folder = out / "runs" / name
            run(train, *method, "--model", models / base, "--train", f"spair71k:trn@{data}", "--validate", f"spair71k:val@{data}",
                "--resolution", arguments.resolution, "--epochs", arguments.epochs, "--out", models / name, "--run", folder, "--resume", "--token-cache", out / "tokens")
    chosen = [word for name in (base, *REGIMES) for word in ("--model", name)]
    printed = run(arguments.bin / "homolog", "eval", "--models", models, "--dataset", "spair71k:test", "--data", data, *chosen,
                  "--resolution", arguments.resolution, "--matcher", SOFT, "--matcher", "argmax", "--out", out / "report", "--json", stdout=subprocess.PIPE)
    scores = {}
    for found in json.loads(printed.stdout)["runs"]:
        key = found["model"]["id"], found["matching"]["matcher"]["kind"]
        overall = found["report"]["overall"]["scores"]
        scores[key] = {score["alpha"]: score["value"] for score in overall if score["average"] == "per_image"}
    rows = [("training-free, nearest token", (base, "argmax"), None), ("training-free, window soft-argmax", (base, "window_soft_argmax"), None)]
    rows += [(NAMES[name], (name, "window_soft_argmax"), out / "runs" / name) for name in REGIMES]
    free = scores[base, "window_soft_argmax"]
    alphas = sorted(free)
    print("\n| | " + " | ".join(f"PCK@{alpha:g}" for alpha in alphas) + " | gain at 0.1 | trained parameters | time |")
    print("|---" * (len(alphas) + 4) + "|")
    for label, key, folder in rows:
        values = " | ".join(f"{100 * scores[key][alpha]:.1f}" for alpha in alphas)
        gain = f"{100 * (scores[key][0.1] / free[0.1] - 1):+.1f} %" if folder else ""
        count = f"{trained_parameters(folder):,}" if folder else "0"
        time = f"{json.loads((folder / 'time.json').read_text()):.0f} s" if folder else ""
        print(f"| {label} | {values} | {gain} | {count} | {time} |")


if __name__ == "__main__":
    main()
