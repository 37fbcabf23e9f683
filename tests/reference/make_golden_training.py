"""Makes tests/golden/training: losses, gradients and optimiser steps of training, over the tiny networks of tests/golden.

    python tests/reference/make_golden_training.py [--out tests/golden]

Run after the other make_golden*.py and make_heads.py, whose checkpoints it reads and does not store again (`original.pth` of
the folder of the same name). Seeded: a second run on the same machine with the pinned versions writes the same bytes.
Everything is computed in double precision and rounded once; only the optimiser works in single precision, as training does.
A few entries of every gradient are compared with finite differences, and the losses with PyTorch's own.

What the losses are stands in `training_losses.py`; their constants and AdamW's are in `definitions.json` beside the tensors.
Names are the official release's (q, k and v fused, for SAM without `image_encoder.`) and tensors float32, save for pixels,
which are float16. LOSS is one of `cross_entropy`, `soft_argmax`, `contrastive` and `total`, the weighted sum of the three.

In every file, the batch (I images, P pairs, at most K points in a pair; all numbers are float32):
    grid                        [2]         rows and columns of tokens
    pairs.source, pairs.target  [P]         index of the image
    pairs.weight                [P]         add up to one
    pairs.count                 [P]         points of the pair; the places after them are padding (-1) and take no part
    points.source, points.target [P, K, 2]  (x, y) in token units, a token's centre at + 0.5
`logit_scale` (the logarithm, first ln(1 / 0.07)) is one more parameter, [1], wherever gradients or final weights are listed.

`losses.safetensors`, no network, a grid larger than the Gaussian's kernel:
    descriptors                 [I, h*w, C]
    loss.LOSS                   [1]
    gradient.LOSS.descriptors   [I, h*w, C]
    gradient.LOSS.logit_scale   [1]         zero for the two that do not use it

`NETWORK.safetensors`, FEATURE being `pre_norm` (the last block's output), `post_norm` (after the final norm) or `neck`; which of
them a network's file has is told by FEATURES below:
    tokens.N                    [I, prefix + h*w, width]  enter block N: 0, all blocks are trained, to depth - 1, the last is
    FEATURE.descriptors         [I, h*w, C]  of the network as it is
    FEATURE.loss.LOSS           [1]
    FEATURE.gradient.LOSS.descriptors, FEATURE.gradient.LOSS.logit_scale
    finetune.FEATURE.N.gradient.NAME   of `total`; trained: the last N blocks, with `post_norm` the norm, with `neck` the neck
    finetune.FEATURE.N.norm     [3]         the gradients' global norm before clipping, at each step
    finetune.FEATURE.N.loss     [4]         `total` before each step and after the last
    finetune.FEATURE.N.final.NAME           after 3 steps (not for SAM)
    lora.initial.LAYER.lora_A [r, in], .lora_B [out, r]  of every layer; LAYER is `blocks.N.attn.q` (k, v, proj) or
                                `blocks.N.mlp.fc1` (fc2; SAM: lin1, lin2; SwiGLU: w1, w2, w3, of which DINOv2's w12 holds the
                                first two, in this order)
    lora.FEATURE.BLOCKS.descriptors         with the adapters of BLOCKS, `all` (input: tokens.0) or `last` (tokens.(depth - 1))
    lora.FEATURE.BLOCKS.{gradient.NAME, norm, loss, final.NAME}  NAME: LAYER.lora_A, LAYER.lora_B, logit_scale
    whole.HxW.pixels            [I, 3, H, W] float16; dinov2-plain and dinov2-reg4 alone; the patch is 14, the same pairs
    whole.HxW.{descriptors, gradient.NAME, norm, loss, final.NAME}  all weights but `mask_token` are trained, `post_norm`

In exact arithmetic the K third of `attn.qkv.bias` (the middle one) has no gradient: softmax does not see it, and DINOv3 masks it.
What is stored there is about 1e-17, and its final values are the first ones. AdamW blows up whatever single precision leaves
there (1e-8) to steps of the learning rate: leave this third out where final weights are compared. All else PyTorch itself reaches
in single precision to 1.3e-5 (gradients) and 4e-5 (final weights), as relative
errors of whole tensors. Weight decay changes the final weights by 1.5e-4 of their values.

`adapters.safetensors`, bottlenecks over frozen descriptors, ADAPTER being `narrow` (weights: heads/narrow.pth; input: `pre_norm`
descriptors of dinov2-plain) or `identity` (heads/identity.safetensors); the loss is cross_entropy + contrastive, each times one:
    ADAPTER.input               [I, h*w, C]
    ADAPTER.descriptors         [I, h*w, C']
    ADAPTER.loss                [1]
    ADAPTER.gradient.NAME       names as in the checkpoint, `bottleneck_layers.0.0.conv1.weight` and so on, and logit_scale
"""

import argparse
import json
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file

import dinov2
import dinov3
import diy_sc
import sam
import training_losses as losses
from dinov2 import write_safetensors
from make_golden import VARIANTS as DINOV2
from make_golden_dinov3 import VARIANTS as DINOV3
from make_golden_sam import VARIANTS as SAM
from training_losses import LOSSES, TOTAL, Pair, batch_loss
from training_networks import NECK, POST_NORM, PRE_NORM, LORA_ALPHA, LORA_RANK, Network, decays, lora_parameters, merged

# folder in tests/golden: features; the variants of a network have but one, to keep the repository small
FEATURES = {
    "dinov2-plain": (PRE_NORM, POST_NORM), "dinov2-reg4": (POST_NORM,), "dinov2-swiglu": (PRE_NORM,),
    "dinov3-plain": (PRE_NORM, POST_NORM), "dinov3-swiglu": (POST_NORM,),
    "sam-windows": (PRE_NORM, NECK), "sam-wide": (NECK,),
}
NETWORKS = [
    Network(f"{family.__name__}-{variant}", family, config, FEATURES[f"{family.__name__}-{variant}"])
    for family, variants in ((dinov2, DINOV2), (dinov3, DINOV3), (sam, SAM)) for variant, config in variants.items()
]
IMAGES, GRID = 3, (4, 5)
STEPS = 3
ADAMW = dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05)
CLIP = 1.0
FIRST_LOGIT_SCALE = torch.tensor([losses.LOGIT_SCALE]).double()
STEP = 3e-5  # of a finite difference
AGREEMENT = 1e-6  # of a finite difference, relative to the largest entry of the gradient


def make_pairs(grid, counts, seed):
    """Pairs among the images with seeded points, the first few at places where a mistake would hide."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = grid
    size, far = torch.tensor([columns, rows]), torch.tensor([columns - 0.2, rows - 0.1])
    # beyond the outermost centres, on a centre, on an edge between tokens
    places = [torch.tensor([0.2, 0.3]), far, torch.tensor([2.5, 1.5]), torch.tensor([2.0, 1.0])]
    shares = torch.rand(len(counts), generator=generator) + 0.5
    shares = shares / shares.sum()
    pairs = []
    for index, count in enumerate(counts):
        source, target = ((torch.rand(count, 2, generator=generator) * 0.98 + 0.01) * size for _ in range(2))
        if index == 0:
            source[: len(places)] = torch.stack(places)
        elif index == 1:
            target[: len(places)] = torch.stack(places)[:count]
        weight = float(shares[index])
        pairs.append(Pair(index % IMAGES, (index + 1 + index // IMAGES) % IMAGES, weight, source.double(), target.double()))
    return pairs


def batch_tensors(grid, pairs):
    most = max(len(pair.source_points) for pair in pairs)

    def padded(points):
        return torch.cat((points, torch.full((most - len(points), 2), -1.0)))

    return {
        "grid": torch.tensor(grid),
        "pairs.source": torch.tensor([pair.source for pair in pairs]),
        "pairs.target": torch.tensor([pair.target for pair in pairs]),
        "pairs.weight": torch.tensor([pair.weight for pair in pairs]),
        "pairs.count": torch.tensor([len(pair.source_points) for pair in pairs]),
        "points.source": torch.stack([padded(pair.source_points) for pair in pairs]),
        "points.target": torch.stack([padded(pair.target_points) for pair in pairs]),
    }


def gradients(loss, parameters):
    """The loss [1] and its gradients, in double precision."""
    leaves = OrderedDict((name, value.detach().double().requires_grad_()) for name, value in parameters.items())
    value = loss(leaves)
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    found = OrderedDict((name, torch.zeros_like(leaf) if gradient is None else gradient)
                        for (name, leaf), gradient in zip(leaves.items(), found))
    return value.detach().reshape(1), found


def check(what, loss, parameters, found):
    """Finite differences at the largest entry of every gradient and at one at random."""
    generator, worst = torch.Generator().manual_seed(1), (0.0, "all")
    values = OrderedDict((name, value.detach().double().clone(memory_format=torch.contiguous_format))
                         for name, value in parameters.items())
    scale = max(gradient.abs().max() for gradient in found.values())
    with torch.no_grad():
        for name, gradient in found.items():
            flat = values[name].view(-1)
            for place in (int(gradient.abs().argmax()), int(torch.randint(len(flat), (1,), generator=generator))):
                first, ends = float(flat[place]), []
                # the five-point stencil: its error is of the fourth order
                for step in (-2, -1, 1, 2):
                    flat[place] = first + step * STEP
                    ends.append(float(loss(values)))
                flat[place] = first
                difference = (8 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / (12 * STEP)
                # a gradient that is zero in exact arithmetic has no scale of its own
                own = max(float(gradient.abs().max()), 1e-4 * float(scale))
                worst = max(worst, (abs(difference - float(gradient.reshape(-1)[place])) / own, name))
    print(f"{what:44} finite differences agree to {worst[0]:.1e} ({worst[1]})")
    assert worst[0] <= AGREEMENT, worst


def trained(prefix, loss, parameters, check_as, finals=True):
    """Gradients at the first weights, and what AdamW's steps on the same batch make of these."""
    parameters = OrderedDict(parameters, logit_scale=FIRST_LOGIT_SCALE)
    value, found = gradients(loss, parameters)
    check(check_as, loss, parameters, found)
    tensors = {f"{prefix}.gradient.{name}": gradient for name, gradient in found.items()}

    weights = OrderedDict((name, torch.nn.Parameter(value.detach().float().clone())) for name, value in parameters.items())
    groups = [
        {"params": [weight for name, weight in weights.items() if decays(name, weight)]},
        {"params": [weight for name, weight in weights.items() if not decays(name, weight)], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, **ADAMW, foreach=False)
    course, norms = [], []
    for _ in range(STEPS):
        value, found = gradients(loss, weights)
        for name, weight in weights.items():
            weight.grad = found[name].float()
        course.append(value)
        norms.append(torch.nn.utils.clip_grad_norm_(weights.values(), CLIP, foreach=False).reshape(1))
        optimiser.step()
    course.append(gradients(loss, weights)[0])
    tensors |= {f"{prefix}.norm": torch.cat(norms), f"{prefix}.loss": torch.cat(course)}
    print(f"{'':44} loss {', '.join(f'{float(v):.4f}' for v in course)}; norms {', '.join(f'{float(v):.2f}' for v in norms)}")
    if finals:
        tensors |= {f"{prefix}.final.{name}": weight.detach() for name, weight in weights.items()}
    return tensors


def loss_tensors(prefix, what, descriptors, grid, pairs):
    """Every loss and its gradients with respect to the descriptors and the logit scale."""
    tensors, parameters = {}, OrderedDict(descriptors=descriptors, logit_scale=FIRST_LOGIT_SCALE)
    for name in (*LOSSES, "total"):
        def loss(values):
            return batch_loss(name, values["descriptors"], grid, pairs, values["logit_scale"])

        value, found = gradients(loss, parameters)
        check(f"{what} {name}", loss, parameters, found)
        if name in LOSSES:
            theirs = losses.independent(name, descriptors, grid, pairs, FIRST_LOGIT_SCALE)
            assert abs(float(value - theirs)) <= 1e-9 * abs(float(value)), (name, value, theirs)
        tensors[f"{prefix}loss.{name}"] = value
        tensors |= {f"{prefix}gradient.{name}.{parameter}": gradient for parameter, gradient in found.items()}
    return tensors


def make_images(config, grid, seed):
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (side * config.patch for side in grid)
    return torch.randn(IMAGES, 3, rows, columns, generator=generator).half()


def make_network(network, golden, pairs, seed):
    state = network.load(golden)
    config, total = network.config, lambda descriptors, scale: batch_loss("total", descriptors, GRID, pairs, scale)
    with torch.no_grad():
        # what the test reads is rounded, so the rounded tokens are the input
        tokens = [x.float().double() for x in network.tokens(state, make_images(config, GRID, seed).double())]
    tensors = batch_tensors(GRID, pairs) | {f"tokens.{index}": x for index, x in enumerate(tokens)}
    lora = lora_parameters(network, state, seed)
    tensors |= {f"lora.initial.{name}": value for name, value in lora.items()}

    for feature in network.features:
        what, last = f"{network.name} {feature}", config.depth - 1
        with torch.no_grad():
            descriptors = network.tail(state, tokens[last], last, feature, GRID).float().double()
        tensors[f"{feature}.descriptors"] = descriptors
        tensors |= loss_tensors(f"{feature}.", what, descriptors, GRID, pairs)

        for count in (1, 2):
            first = config.depth - count

            def finetune(values):
                descriptors = network.tail({**state, **values}, tokens[first], first, feature, GRID)
                return total(descriptors, values["logit_scale"])

            names = network.last_blocks(state, count, feature)
            tensors |= trained(f"finetune.{feature}.{count}", finetune, {name: state[name] for name in names},
                               f"{what} last {count}", finals=network.family is not sam)

        for blocks, first in (("all", 0), ("last", last)):
            adapted = {name: value for name, value in lora.items() if blocks == "all" or name.startswith(f"blocks.{last}.")}

            def describe(values):
                return network.tail(merged(network, state, values), tokens[first], first, feature, GRID)

            with torch.no_grad():
                doubled = {name: value.double() for name, value in adapted.items()}
                tensors[f"lora.{feature}.{blocks}.descriptors"] = describe(doubled)
            tensors |= trained(f"lora.{feature}.{blocks}", lambda values: total(describe(values), values["logit_scale"]),
                               adapted, f"{what} LoRA {blocks}")
    return tensors


def make_whole(network, golden, pairs, grid, seed):
    """The whole of a DINOv2 from pixels."""
    state = network.load(golden)
    pixels = make_images(network.config, grid, seed)
    prefix = f"whole.{pixels.shape[2]}x{pixels.shape[3]}"

    def loss(values):
        descriptors = network.whole({**state, **values}, pixels.double(), POST_NORM)
        return batch_loss("total", descriptors, grid, pairs, values["logit_scale"])

    parameters = {name: value for name, value in state.items() if name != "mask_token"}
    tensors = trained(prefix, loss, parameters, f"{network.name} whole {prefix}")
    with torch.no_grad():
        descriptors = network.whole(state, pixels.double(), POST_NORM)
    return tensors | {f"{prefix}.pixels": pixels, f"{prefix}.descriptors": descriptors}


def make_adapters(golden, descriptors, pairs):
    """Bottlenecks over frozen descriptors, here those of dinov2-plain [I, h*w, C]."""
    tensors = batch_tensors(GRID, pairs)
    for name, file, x in (
        ("narrow", "narrow.pth", descriptors),
        ("identity", "identity.safetensors", diy_sc.patterned(IMAGES, *GRID, 64).flatten(1, 2)),
    ):
        path = golden / "heads" / file
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
        state = OrderedDict((name, value.double()) for name, value in state.items())
        x = x.float().double()

        def describe(values):
            return diy_sc.forward({**state, **values}, x.reshape(IMAGES, *GRID, -1)).flatten(1, 2)

        def loss(values):
            parts = ("cross_entropy", "contrastive")
            return sum(batch_loss(part, describe(values), GRID, pairs, values["logit_scale"]) for part in parts)

        parameters = OrderedDict((name, value) for name, value in state.items() if name.startswith(diy_sc.BLOCK))
        parameters["logit_scale"] = FIRST_LOGIT_SCALE
        value, found = gradients(loss, parameters)
        check(f"adapter {name}", loss, parameters, found)
        tensors |= {f"{name}.input": x, f"{name}.descriptors": describe({}), f"{name}.loss": value}
        tensors |= {f"{name}.gradient.{parameter}": gradient for parameter, gradient in found.items()}
    return tensors


def make_losses():
    """The losses alone, on a grid that the Gaussian's kernel does not fill."""
    grid, generator = (9, 10), torch.Generator().manual_seed(9)
    pairs = make_pairs(grid, [5, 4, 3, 1], seed=10)
    descriptors = torch.randn(IMAGES, grid[0] * grid[1], 6, generator=generator)
    of_losses = loss_tensors("", "losses", descriptors.double(), grid, pairs)
    return {**batch_tensors(grid, pairs), "descriptors": descriptors, **of_losses}


def definitions():
    return {
        "torch": torch.__version__,
        "losses": {
            "norm_epsilon": losses.NORM_EPS,
            "cross_entropy": {"temperature": losses.TEMPERATURE, "kernel": losses.KERNEL, "sigma": losses.SIGMA},
            "soft_argmax": {"temperature": losses.SOFT_ARGMAX_TEMPERATURE, "epsilon": losses.SOFT_ARGMAX_EPS},
            "contrastive": {"first_logit_scale": losses.LOGIT_SCALE},
            "total": TOTAL,
        },
        "lora": {"rank": LORA_RANK, "alpha": LORA_ALPHA, "dropout": 0.0},
        "optimiser": {"name": "AdamW", "steps": STEPS, **ADAMW, "clip_global_norm": CLIP,
                      "decays": "weights of linear layers and convolutions, LoRA's matrices; nothing else"},
    }


def write(path, tensors):
    stored = {name: value if value.dtype == torch.float16 else value.detach().float() for name, value in tensors.items()}
    assert all(value.isfinite().all() for value in stored.values())
    write_safetensors(path, stored)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    golden = parser.parse_args().out
    out = golden / "training"
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order
    (out / "definitions.json").write_text(json.dumps(definitions(), indent=2) + "\n")
    write(out / "losses.safetensors", make_losses())
    pairs = make_pairs(GRID, [4, 4, 1, 2], seed=20)
    for seed, network in enumerate(NETWORKS, 101):
        tensors = make_network(network, golden, pairs, seed)
        if network.name in ("dinov2-plain", "dinov2-reg4"):
            # the grid that the positions were learned on, and another
            for grid in ((network.config.grid,) * 2, GRID) if network.name == "dinov2-plain" else (GRID,):
                tensors |= make_whole(network, golden, pairs, grid, seed)
        write(out / f"{network.name}.safetensors", tensors)
        if network.name == "dinov2-plain":
            write(out / "adapters.safetensors", make_adapters(golden, tensors[f"{PRE_NORM}.descriptors"], pairs))


if __name__ == "__main__":
    main()
