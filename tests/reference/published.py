"""The input of `make parity-published`: the photo for which DINOv3's values were published, prepared as it was there.

    published.py PHOTO OUT.safetensors

The photo is COCO val2017's 000000039769.jpg (two cats on a sofa; http://images.cocodataset.org/val2017/000000039769.jpg,
Flickr licence: not kept here). It is resized as float pixels, bilinear with antialiasing, to 224x224, which is what
torchvision does with a tensor; the service resizes bytes, bicubic.
"""

import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from PIL import Image

from dinov2 import write_safetensors

SIDE = 224
PUBLISHED_SIZE = (640, 480)


def main():
    photo, out = map(Path, sys.argv[1:])
    image = Image.open(photo).convert("RGB")
    if image.size != PUBLISHED_SIZE:
        sys.exit(f"{photo} is {image.size[0]}x{image.size[1]}, and COCO's 000000039769.jpg is 640x480")
    pixels = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)[None] / 255
    pixels = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(out, {"input": (pixels - mean) / std})


if __name__ == "__main__":
    main()
