"""The losses that training adapts a network by, as formulas over its descriptors.

Descriptors are `[I, h*w, C]`, of I images, row-major over a grid of (h, w) tokens; points are (x, y) in token units, a token's
centre being at + 0.5. Sources: the Gaussian cross entropy is that of Visual-AI's fine-tuning; the soft-argmax L2 and the
symmetric contrastive loss are those of GeoAware-SC (Zhang et al. 2024).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

NORM_EPS = 1e-12  # under the root of an L2 norm
TEMPERATURE = 0.03  # of the cross entropy
KERNEL = 7  # tokens on a side of the Gaussian
SIGMA = 1.5  # tokens
SOFT_ARGMAX_TEMPERATURE = 0.05
SOFT_ARGMAX_EPS = 1e-6  # under the root of the distance
LOGIT_SCALE = math.log(1 / 0.07)  # its logarithm's first value
LOSSES = ("cross_entropy", "soft_argmax", "contrastive")
TOTAL = {"cross_entropy": 1.0, "soft_argmax": 0.5, "contrastive": 0.25}


@dataclass(frozen=True)
class Pair:
    source: int  # index of the image
    target: int
    weight: float  # those of a batch add up to one
    source_points: torch.Tensor  # [K, 2]
    target_points: torch.Tensor  # [K, 2]


def normalised(x):
    return x / (x.square().sum(-1, keepdim=True) + NORM_EPS).sqrt()


def sample(tokens, grid, points):
    """Tokens [h*w, C] at points [K, 2]: bilinear between centres, beyond the outermost the nearest of the border; [K, C]."""
    rows, columns = grid
    x, y = (points[:, 0] - 0.5).clamp(0, columns - 1), (points[:, 1] - 0.5).clamp(0, rows - 1)
    left, top = x.floor().long(), y.floor().long()
    right, bottom = (left + 1).clamp(max=columns - 1), (top + 1).clamp(max=rows - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = tokens[top * columns + left] * (1 - across) + tokens[top * columns + right] * across
    lower = tokens[bottom * columns + left] * (1 - across) + tokens[bottom * columns + right] * across
    return upper * (1 - down) + lower * down


def centres(grid, like):
    """Centres (x, y) of all tokens, [h*w, 2]."""
    rows, columns = grid
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), dim=1).to(like) + 0.5


def gaussian(grid, points):
    """The cross entropy's truth [K, h*w]: a Gaussian around the point over the kernel around its token, clipped at the border."""
    offsets = centres(grid, points)[None] - points[:, None]
    tokens = (centres(grid, points)[None] - 0.5) - points[:, None].floor()
    inside = tokens.abs().amax(-1) <= KERNEL // 2
    weights = torch.exp(-offsets.square().sum(-1) / (2 * SIGMA**2)) * inside
    return weights / weights.sum(-1, keepdim=True)


def similarities(descriptors, grid, pair):
    """Cosines [K, h*w] of the source's points with the target's tokens."""
    queries = normalised(sample(descriptors[pair.source], grid, pair.source_points))
    return queries @ normalised(descriptors[pair.target]).T


def cross_entropy(descriptors, grid, pair, logit_scale):
    logits = similarities(descriptors, grid, pair) / TEMPERATURE
    return -(gaussian(grid, pair.target_points) * logits.log_softmax(-1)).sum(-1).mean()


def soft_argmax(descriptors, grid, pair, logit_scale):
    mass = (similarities(descriptors, grid, pair) / SOFT_ARGMAX_TEMPERATURE).softmax(-1)
    distance = mass @ centres(grid, mass) - pair.target_points
    return (distance.square().sum(-1) + SOFT_ARGMAX_EPS).sqrt().mean() / max(grid)


def contrastive(descriptors, grid, pair, logit_scale):
    source = normalised(sample(descriptors[pair.source], grid, pair.source_points))
    target = normalised(sample(descriptors[pair.target], grid, pair.target_points))
    logits = logit_scale.exp() * source @ target.T
    # the diagonal is the truth, by rows and by columns
    return -(logits.log_softmax(1).diagonal() + logits.log_softmax(0).diagonal()).mean() / 2


def batch_loss(name, descriptors, grid, pairs, logit_scale):
    """One loss of a batch; `total` is the weighted sum of all."""
    if name == "total":
        return sum(share * batch_loss(part, descriptors, grid, pairs, logit_scale) for part, share in TOTAL.items())
    loss = {"cross_entropy": cross_entropy, "soft_argmax": soft_argmax, "contrastive": contrastive}[name]
    return sum(pair.weight * loss(descriptors, grid, pair, logit_scale) for pair in pairs)


def independent(name, descriptors, grid, pairs, logit_scale):
    """The same out of PyTorch's own sampling and losses, point by point: an independent check of the formulas."""
    rows, columns = grid
    total = 0.0

    def at(image, point):
        field = descriptors[image].T.reshape(1, -1, rows, columns)
        place = (2 * point / torch.tensor([columns, rows]).to(point) - 1).reshape(1, 1, 1, 2)
        found = F.grid_sample(field, place, mode="bilinear", padding_mode="border", align_corners=False)
        return F.normalize(found.flatten(), dim=0)

    for pair in pairs:
        target, count = F.normalize(descriptors[pair.target], dim=1), len(pair.source_points)
        if name == "contrastive":
            sources = torch.stack([at(pair.source, point) for point in pair.source_points])
            targets = torch.stack([at(pair.target, point) for point in pair.target_points])
            logits, truth = sources @ targets.T * logit_scale.exp(), torch.arange(count)
            total += pair.weight * (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
            continue
        for source_point, point in zip(pair.source_points, pair.target_points):
            similarity = target @ at(pair.source, source_point)
            if name == "cross_entropy":
                truth = torch.zeros(rows, columns).to(similarity)
                column, row = int(point[0]), int(point[1])
                for i in range(max(row - 3, 0), min(row + 4, rows)):
                    for j in range(max(column - 3, 0), min(column + 4, columns)):
                        truth[i, j] = math.exp(-((j + 0.5 - point[0]) ** 2 + (i + 0.5 - point[1]) ** 2) / 4.5)
                loss = F.cross_entropy(similarity / 0.03, (truth / truth.sum()).flatten())
            else:
                mass = torch.softmax(similarity / 0.05, 0).reshape(rows, columns)
                x = (mass.sum(0) * (torch.arange(columns) + 0.5)).sum()
                y = (mass.sum(1) * (torch.arange(rows) + 0.5)).sum()
                loss = torch.sqrt((x - point[0]) ** 2 + (y - point[1]) ** 2 + 1e-6) / max(rows, columns)
            total += pair.weight * loss / count
    return total
