"""Makes tests/golden/optimiser.json: steps of torch.optim.AdamW, clipped gradients, and learning rates of PyTorch's schedulers.

    python tests/reference/make_golden_optimiser.py [--out tests/golden]

Everything is seeded: a second run on the same machine with the pinned versions writes the same bytes.
"""

import argparse
import json
from pathlib import Path

import torch

SHAPES = {"weight": (3, 4), "bias": (5,)}
STEPS = 5
# what each case is there for: decay, an eps that is felt, and moments that are corrected for long
CASES = {
    "defaults": dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0),
    "decay": dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.5),
    "eps": dict(betas=(0.9, 0.999), eps=0.1, weight_decay=0.05),
    "betas": dict(betas=(0.95, 0.9), eps=1e-8, weight_decay=0.01),
}
LEARNING_RATES = [0.01, 0.02, 0.02, 0.005, 0.1]
CLIPS = {"clipped": 0.5, "kept": 100.0}
SCHEDULE_STEPS, STEPS_PER_EPOCH = 20, 4


def flat(tensors):
    return [tensor.detach().flatten().tolist() for tensor in tensors]


def draw(generator):
    return [torch.randn(shape, generator=generator) for shape in SHAPES.values()]


def adamw(settings):
    """The second tensor has no decay, as biases have none."""
    generator = torch.Generator().manual_seed(11)
    weight, bias = (torch.nn.Parameter(values) for values in draw(generator))
    optimiser = torch.optim.AdamW(
        [{"params": [weight]}, {"params": [bias], "weight_decay": 0.0}], lr=1.0, foreach=False, **settings
    )
    case = {**settings, "learning_rates": LEARNING_RATES, "before": flat([weight, bias]), "gradients": [], "after": []}
    for learning_rate in LEARNING_RATES:
        # of very different sizes, so that eps is felt by some
        gradients = [gradient * torch.logspace(-6, 1, gradient.numel()).view_as(gradient) for gradient in draw(generator)]
        weight.grad, bias.grad = gradients
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        optimiser.step()
        case["gradients"].append(flat(gradients))
        case["after"].append(flat([weight, bias]))
    case["first"] = flat([optimiser.state[each]["exp_avg"] for each in (weight, bias)])
    case["second"] = flat([optimiser.state[each]["exp_avg_sq"] for each in (weight, bias)])
    return case


def clip(most):
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in SHAPES.values()]
    for parameter, gradient in zip(parameters, draw(torch.Generator().manual_seed(12))):
        parameter.grad = gradient
    before = flat(parameter.grad for parameter in parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    after = flat(parameter.grad for parameter in parameters)
    return {"most": most, "before": before, "norm": norm.item(), "after": after}


def schedule(make, every=1):
    """Shares of a peak of 1."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, shares = make(optimiser), []
    for step in range(SCHEDULE_STEPS):
        shares.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return shares


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "golden")
    out = parser.parse_args().out
    schedulers = torch.optim.lr_scheduler
    golden = {
        "adamw": {name: adamw(settings) for name, settings in CASES.items()},
        "clip": {name: clip(most) for name, most in CLIPS.items()},
        "schedules": {
            "cosine": schedule(lambda o: schedulers.CosineAnnealingLR(o, SCHEDULE_STEPS, eta_min=0.1)),
            "steps": schedule(lambda o: schedulers.MultiStepLR(o, [1, 3], gamma=0.5), every=STEPS_PER_EPOCH),
            "one_cycle": schedule(lambda o: schedulers.OneCycleLR(o, 1.0, total_steps=SCHEDULE_STEPS, pct_start=0.3)),
        },
    }
    (out / "optimiser.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
