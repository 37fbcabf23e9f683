"""Positional debiasing in our own words, after visinf/INSID3, models/insid3.py: directions of the descriptors of a black
image, taken out of descriptors. Single precision and a singular value decomposition, as there."""

import torch
import torch.nn.functional as F

MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def black_image(side):
    """What a normalised image of zeros is: [1, 3, side, side]."""
    return ((torch.zeros(3, side, side) - MEAN[:, None, None]) / STD[:, None, None])[None]


def basis(descriptors, directions):
    """Descriptors [1, h, w, C] of a black image, to the first left singular vectors [C, directions]."""
    channels = descriptors.shape[-1]
    columns = F.normalize(descriptors, dim=-1).reshape(-1, channels).T
    columns = columns - columns.mean(dim=1, keepdim=True)
    left, _, _ = torch.linalg.svd(columns, full_matrices=False)
    return left[:, :directions]


def debias(descriptors, basis):
    """norm((I - U U^T) norm(f)) for every descriptor of [..., C]."""
    across = torch.eye(basis.shape[0]) - basis @ basis.T
    return F.normalize(F.normalize(descriptors, dim=-1) @ across, dim=-1)
