"""Decodes and resizes images with Pillow, for the Rust test that compares ours with it.

Standard input holds a JSON list of {"image", "width", "height", "filter": "bicubic" | "bilinear", "out"}. Each image,
turned as its EXIF orientation says and made RGB, is resized and written to `out` as raw RGB bytes; with a null
width it keeps its size. Standard output gets a JSON list of [width, height].
One job may also be given as arguments: IMAGE WIDTH HEIGHT FILTER OUT. Needs nothing but Pillow.
"""

import json
import sys
from pathlib import Path

from PIL import Image, ImageOps

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def decode(path):
    """The image as displayed, RGB; transparency is dropped, not composed."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode in ("I", "I;16", "I;16L", "I;16B"):
            # Whatever a Pillow version makes of 16-bit grey (clipping to 255, once), the high byte is what is meant.
            image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
        return image.convert("RGB")


def run(job):
    image = decode(job["image"])
    if job.get("width") is not None:
        image = image.resize((job["width"], job["height"]), FILTERS[job["filter"]])
    Path(job["out"]).write_bytes(image.tobytes())
    return image.size


def main(arguments):
    if arguments:
        path, width, height, name, out = arguments
        jobs = [{"image": path, "width": int(width), "height": int(height), "filter": name, "out": out}]
    else:
        jobs = json.load(sys.stdin)
    print(json.dumps([run(job) for job in jobs]))


if __name__ == "__main__":
    main(sys.argv[1:])
