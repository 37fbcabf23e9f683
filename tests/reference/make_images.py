"""Makes tests/golden/images: one small synthetic picture in every kind of file, and what Pillow decodes from each.

    python tests/reference/make_images.py [--out tests/golden/images]

`expected.safetensors` holds, for each file name, the pixels [H, W, 3] (uint8) as displayed: EXIF orientation applied,
transparency dropped, and for 16-bit grey the high byte in all three channels.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dinov2 import write_safetensors
from pillow_resize import decode

WIDTH, HEIGHT = 32, 24
ORIENTATION_TAG = 0x0112
# How a picture is stored, so that a viewer who obeys the orientation shows the original.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # shown after a quarter turn clockwise
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
MAXIMUM_BYTES = 4096
# JPEG may move a value by this much; a wrong turn of the picture moves many by far more
LOSSY = 24


def picture():
    """Smooth gradients, and an off-centre blob which no turn or flip leaves in place: [H, W, 3] uint8."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    gradient = np.stack((x / WIDTH * 200 + 20, y / HEIGHT * 180 + 40, 160 - (x + y) / (WIDTH + HEIGHT) * 120), axis=-1)
    blob = np.exp(-(((x - 8) / 4) ** 2 + ((y - 6) / 3) ** 2))[..., None]
    return (gradient * (1 - blob) + np.array([240, 60, 30]) * blob).round().astype(np.uint8)


def alpha():
    """Opaque at the left, clear at the right: a reader that composes, or multiplies by alpha, shows it."""
    return np.tile(np.linspace(255, 0, WIDTH).round().astype(np.uint8), (HEIGHT, 1))


def orientation(value):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = value
    return exif


def stored(image, value):
    return image if STORED[value] is None else image.transpose(STORED[value])


def make(out):
    rgb = Image.fromarray(picture())
    grey = rgb.convert("L")
    rgba = Image.fromarray(np.dstack((picture(), alpha())))
    jpeg = dict(quality=92, optimize=True)

    grey.save(out / "grey.png", optimize=True)
    Image.merge("LA", (grey, Image.fromarray(alpha()))).save(out / "grey_alpha.png", optimize=True)
    rgb.save(out / "rgb.png", optimize=True)
    rgba.save(out / "rgba.png", optimize=True)
    # 16 colours (4 bits a pixel), the colour of the top-left corner transparent
    palette = rgb.quantize(16)
    palette.save(out / "palette.png", optimize=True, transparency=palette.getpixel((0, 0)))
    # the low byte is noise to a reader of the high one, and shows where one rounds
    deep = np.asarray(grey).astype(np.uint16) * 256 + (np.arange(WIDTH * HEIGHT) * 37 % 256).reshape(HEIGHT, WIDTH)
    Image.fromarray(deep.astype(np.uint16)).save(out / "grey16.png", optimize=True)

    rgb.convert("CMYK").save(out / "cmyk.jpg", **jpeg)  # inverted, with an Adobe marker, as Photoshop writes it
    grey.save(out / "grey.jpg", **jpeg)
    rgb.save(out / "rgb.jpg", **jpeg)  # chroma halved (4:2:0), and a height that is no multiple of 16
    rgb.save(out / "progressive.jpg", progressive=True, **jpeg)
    rgb.save(out / "rgb_lossless.webp", lossless=True)
    rgb.save(out / "rgb.webp", quality=90)
    rgba.save(out / "rgba.webp", lossless=True, exact=True)  # `exact` keeps the colours under clear pixels

    for value in STORED:
        stored(rgb, value).save(out / f"orientation_{value}.jpg", exif=orientation(value), subsampling=0, **jpeg)
    stored(rgb, 6).save(out / "orientation_6.png", exif=orientation(6), optimize=True)
    stored(rgb, 6).save(out / "orientation_6.webp", exif=orientation(6), lossless=True)
    return deep


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden/images"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    deep = make(out)

    files = sorted(path for path in out.iterdir() if path.suffix != ".safetensors")
    expected = {path.name: np.array(decode(path)) for path in files}
    for path in files:
        pixels = expected[path.name]
        assert pixels.shape == (HEIGHT, WIDTH, 3), path
        assert path.stat().st_size <= MAXIMUM_BYTES, path
        if path.name.startswith("orientation_"):
            assert np.abs(pixels.astype(int) - picture()).max() <= LOSSY, path
    for exact in ("rgb.png", "rgba.png", "rgb_lossless.webp", "rgba.webp", "orientation_6.png", "orientation_6.webp"):
        assert np.array_equal(expected[exact], picture()), exact
    assert np.array_equal(expected["grey16.png"], np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, axis=2))

    write_safetensors(out / "expected.safetensors", {name: torch.from_numpy(value) for name, value in expected.items()},
                      {"layout": "height, width, RGB", "grey16.png": "value >> 8 in all three channels"})
    print(f"{len(files)} images, {sum(path.stat().st_size for path in files)} bytes")


if __name__ == "__main__":
    main()
