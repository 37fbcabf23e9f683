"""Makes openapi/examples/{a,b}.jpg: one drawn boat seen twice, for README's first match; and openapi/examples/boats: six pictures of
it with their keypoints, a small benchmark in Homolog's own format, for README's first evaluation.

    python tests/reference/make_examples.py [--out openapi/examples]
"""

import argparse
import itertools
import json
import math
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SCALE = 4  # drawn larger and shrunk: smooth edges
HULL = [(-110, 40), (125, 30), (85, 90), (-80, 90)]
STRIPE = [(-106, 48), (120, 40), (114, 50), (-101, 58)]
MAST = [(-4, 40), (4, 40), (3, -150), (-3, -150)]
MAIN_SAIL = [(-10, -140), (-10, 20), (-100, 20)]
SMALL_SAIL = [(10, -120), (10, 22), (95, 18)]
CABIN = [(-60, 42), (-60, 22), (0, 20), (0, 41)]
FLAG = [(0, -150), (34, -141), (0, -130)]
WINDOW = (-32, 31, 7)
KEYPOINTS = {"bow": (125, 30), "stern": (-110, 40), "mast": (0, -150), "keel": (0, 90), "main sail": (-100, 20), "small sail": (95, 18),
             "flag": (34, -141), "window": (-32, 31)}


def place(point, centre, scale, tilt):
    """Where a point of the boat lies in its picture, px."""
    x, y = point[0] * scale, point[1] * scale
    turned = x * math.cos(tilt) - y * math.sin(tilt), x * math.sin(tilt) + y * math.cos(tilt)
    return centre[0] + turned[0], centre[1] + turned[1]


def picture(size, centre, scale, tilt, sky, sea, sun, islands):
    width, height = size
    image = Image.new("RGB", (width * SCALE, height * SCALE))
    draw = ImageDraw.Draw(image)
    horizon = int(height * 0.62)
    for y in range(height):
        low, high, share = (*sky, y / horizon) if y < horizon else (*sea, (y - horizon) / (height - horizon))
        colour = tuple(round(a + (b - a) * share) for a, b in zip(low, high))
        draw.rectangle([0, y * SCALE, width * SCALE, (y + 1) * SCALE], fill=colour)
    x, y, radius = (value * SCALE for value in sun)
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(255, 236, 170))
    for left, right, top in islands:
        draw.polygon([(left * SCALE, horizon * SCALE), ((left * 0.6 + right * 0.4) * SCALE, top * SCALE),
                      (right * SCALE, horizon * SCALE)], fill=(96, 120, 112))
    for row in range(9):
        y = horizon + 10 + row * (height - horizon) / 9
        for wave in range(14):
            x = (wave * 53 + row * 29 + sun[0]) % (width + 40) - 20
            draw.arc([x * SCALE, y * SCALE, (x + 26) * SCALE, (y + 9) * SCALE], 200, 340, fill=(225, 240, 245), width=SCALE)

    def drawn(point):
        x, y = place(point, centre, scale, tilt)
        return x * SCALE, y * SCALE

    def shape(points, colour):
        draw.polygon([drawn(point) for point in points], fill=colour)

    shape(HULL, (176, 42, 48))
    shape(STRIPE, (245, 240, 225))
    shape(CABIN, (232, 176, 92))
    shape(MAST, (92, 62, 40))
    shape(MAIN_SAIL, (250, 248, 240))
    shape(SMALL_SAIL, (240, 150, 60))
    shape(FLAG, (40, 80, 170))
    x, y, radius = WINDOW
    x, y = drawn((x, y))
    radius *= scale * SCALE
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(40, 60, 90), outline=(255, 255, 255), width=SCALE * 2)
    return image.filter(ImageFilter.GaussianBlur(SCALE / 3)).resize(size, Image.Resampling.LANCZOS)


def boats(out):
    """Six pictures and every ordered pair of them."""
    out.mkdir(parents=True, exist_ok=True)
    chance = random.Random(3)
    images = {}
    for number in range(6):
        size = (chance.randrange(360, 481, 8), chance.randrange(280, 361, 8))
        scale, tilt = chance.uniform(0.6, 0.9), chance.uniform(-0.15, 0.15)
        centre = (chance.uniform(140 * scale, size[0] - 140 * scale), chance.uniform(160 * scale, size[1] - 100 * scale))
        shade = chance.randrange(-25, 26)
        sky = tuple(tuple(value + shade for value in colour) for colour in ((120, 180, 220), (215, 225, 225)))
        sea = tuple(tuple(value - shade for value in colour) for colour in ((55, 118, 155), (30, 72, 108)))
        sun = (chance.randrange(40, size[0] - 40), 50, chance.randrange(20, 32))
        left = chance.randrange(0, size[0] - 150)
        image = picture(size, centre, scale, tilt, sky, sea, sun, [(left, left + 140, size[1] * 0.5)])
        image.save(out / f"{number}.jpg", quality=85)
        places = [[round(value, 1) for value in place(point, centre, scale, tilt)] for point in KEYPOINTS.values()]
        inside = [p if 0 <= p[0] < size[0] and 0 <= p[1] < size[1] else None for p in places]
        xs, ys = [p[0] for p in places], [p[1] for p in places]
        images[number] = inside, [min(xs), min(ys), max(xs), max(ys)]
    with open(out / "pairs.jsonl", "w", encoding="utf-8") as file:
        for source, target in itertools.permutations(images, 2):
            pair = {"id": f"{source}-{target}", "source": f"{source}.jpg", "target": f"{target}.jpg", "category": "boat",
                    "keypoint_ids": list(KEYPOINTS), "source_keypoints": images[source][0],
                    "target_keypoints": images[target][0], "source_box": images[source][1], "target_box": images[target][1]}
            file.write(json.dumps(pair) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "openapi/examples")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    scenes = {
        "a": picture((480, 360), (200, 205), 1.0, 0.0, ((120, 180, 230), (215, 232, 240)), ((50, 120, 160), (20, 70, 110)),
                     (400, 60, 26), [(300, 470, 180)]),
        "b": picture((560, 400), (330, 235), 1.15, -0.10, ((130, 176, 220), (232, 225, 220)), ((60, 116, 150), (24, 72, 104)),
                     (90, 80, 30), [(20, 190, 190), (430, 560, 215)]),
    }
    for name, image in scenes.items():
        image.save(out / f"{name}.jpg", quality=88)
    boats(out / "boats")


if __name__ == "__main__":
    main()
