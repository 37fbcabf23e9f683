"""The PyTorch half of `make bench-train`: the usual loop over pairs, its time and its memory.

    bench_training.py finetune [--blocks 2]            the last N blocks and the norm are trained
    bench_training.py lora [--blocks 12] [--rank 8]    adapters on q, k, v, proj, fc1, fc2 of the last N blocks, by default of all
    both: [--name dinov2-vits14] [--resolution 448] [--pairs 4] [--points 10] [--steps 3] [--threads 2] [--device cpu]
          [--precision float32]

Both images of every pair go through the whole network at every step, its frozen blocks without gradients, as public code does it.
Attention is PyTorch's `scaled_dot_product_attention`; the loss is the Gaussian cross entropy, the optimiser AdamW with clipping.
Weights, pixels and points are random and in memory: reading and decoding cost nothing here. Prints one line of JSON.
`seconds_per_pair` is that of the median step, the first aside. Memory is that of the process: start one for each measurement. LoRA
on all blocks keeps the activations of all of them: 9 GiB with 4 pairs of ViT-S at 448.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

import dinov2
from parity import peak_rss_mib
from training_losses import Pair, batch_loss

SEED = 14
ADAMW = dict(lr=1e-4, weight_decay=0.05)
CLIP = 1.0
NETWORKS = {name: config for name, config in dinov2.CONFIGS.items() if not config.swiglu}


class Lora:
    """y = W x + b + (alpha / r) B A x. q, k and v have adapters of their own over the one product of the official code."""

    def __init__(self, state, config, first, rank, alpha):
        self.scale, self.parameters = alpha / rank, {}
        for block in range(first, config.depth):
            for name, parts in (("attn.qkv", 3), ("attn.proj", 1), ("mlp.fc1", 1), ("mlp.fc2", 1)):
                rows, columns = state[f"blocks.{block}.{name}.weight"].shape
                self.parameters[f"blocks.{block}.{name}"] = [
                    (torch.randn(rank, columns) / columns**0.5, torch.zeros(rows // parts, rank)) for _ in range(parts)
                ]

    def linear(self, state, name, x):
        low = [F.linear(F.linear(x, a), b) for a, b in self.parameters[name]]
        return dinov2.linear(state, name, x) + self.scale * (low[0] if len(low) == 1 else torch.cat(low, dim=-1))

    def block(self, state, index, heads, x):
        name, (batch, length, dim) = f"blocks.{index}", x.shape
        qkv = self.linear(state, f"{name}.attn.qkv", dinov2.layer_norm(state, f"{name}.norm1", x))
        q, k, v = qkv.reshape(batch, length, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, dim)
        x = x + state[f"{name}.ls1.gamma"] * self.linear(state, f"{name}.attn.proj", mixed)
        hidden = self.linear(state, f"{name}.mlp.fc1", dinov2.layer_norm(state, f"{name}.norm2", x))
        return x + state[f"{name}.ls2.gamma"] * self.linear(state, f"{name}.mlp.fc2", F.gelu(hidden))

    def trained(self, device):
        self.parameters = {
            name: [tuple(x.to(device).requires_grad_() for x in pair) for pair in pairs]
            for name, pairs in self.parameters.items()
        }
        return [x for pairs in self.parameters.values() for pair in pairs for x in pair]


def make_pairs(count, points, grid, device):
    """Images 2i and 2i + 1 are a pair."""
    size = torch.tensor([grid[1], grid[0]], dtype=torch.float32)
    return [Pair(2 * index, 2 * index + 1, 1 / count, *((torch.rand(points, 2) * size).to(device) for _ in range(2)))
            for index in range(count)]


def measure(arguments):
    config, device = NETWORKS[arguments.name], torch.device(arguments.device)
    if arguments.resolution % config.patch:
        raise SystemExit(f"the resolution {arguments.resolution} is no multiple of the patch, {config.patch}")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(SEED)
    if arguments.precision == "tf32":
        torch.set_float32_matmul_precision("high")
    state = {name: value.to(device) for name, value in dinov2.random_state(config, SEED, sharp=False).items()}
    blocks = min(arguments.blocks or (2 if arguments.mode == "finetune" else config.depth), config.depth)
    first, block = config.depth - blocks, dinov2.block
    if arguments.mode == "finetune":
        starts = ("norm.", *(f"blocks.{index}." for index in range(first, config.depth)))
        weights = [value.requires_grad_() for name, value in state.items() if name.startswith(starts)]
    else:
        lora = Lora(state, config, first, arguments.rank, arguments.alpha)
        weights, block = lora.trained(device), lora.block
    optimiser = torch.optim.AdamW(weights, **ADAMW)

    grid = (arguments.resolution // config.patch,) * 2
    images = torch.randn(2 * arguments.pairs, 3, arguments.resolution, arguments.resolution).to(device)
    pairs = make_pairs(arguments.pairs, arguments.points, grid, device)
    unscaled = torch.zeros(1, device=device)
    seconds = []
    for _ in range(1 + arguments.steps):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.precision == "bfloat16"):
            with torch.no_grad():
                x = dinov2.embed(state, config, images)
                for index in range(first):
                    x = dinov2.block(state, index, config.heads, x)
            for index in range(first, config.depth):
                x = block(state, index, config.heads, x)
            descriptors = dinov2.layer_norm(state, "norm", x)[:, config.prefix :]
        loss = batch_loss("cross_entropy", descriptors.float(), grid, pairs, unscaled)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
        value = loss.item()  # waits for the device
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    measured = vars(arguments) | {
        "blocks": blocks,
        "seconds_per_pair": round(statistics.median(seconds[1:]) / arguments.pairs, 5),
        "seconds_of_steps": [round(step, 4) for step in seconds],
        "trained_parameters": sum(weight.numel() for weight in weights),
        "peak_rss_mib": round(peak_rss_mib() or 0, 1) or None,
        "loss": round(value, 5),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
        measured |= {"peak_device_mib": round(peak, 1), "device": torch.cuda.get_device_name()}
    print(json.dumps(measured))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=("finetune", "lora"))
    parser.add_argument("--name", choices=NETWORKS, default="dinov2-vits14")
    parser.add_argument("--resolution", type=int, default=448)
    parser.add_argument("--blocks", type=int, help="the last so many are trained, or carry adapters")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--alpha", type=float, default=16.0)
    parser.add_argument("--pairs", type=int, default=4, help="of a step")
    parser.add_argument("--points", type=int, default=10, help="of a pair")
    parser.add_argument("--steps", type=int, default=3, help="that are timed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("float32", "tf32", "bfloat16"), default="float32")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
