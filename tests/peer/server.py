"""The usual server for the same job, which `make bench` holds Homolog against: FastAPI, uvicorn, Pillow, transformers.

    server.py --weights FILE.safetensors --resolution 448 [--threads 2] [--cache]

The weights are those of DINOv2's ViT-B/14 under the official names. `POST /match` takes the form that Homolog's takes (source, target,
request with its points) and answers with the same places. One forward pass at a time, in a thread beside the event loop; with `--cache`
the descriptors of photos that were seen are kept. Prints its address when it is ready.
"""

import argparse
import hashlib
import io
import json
import socket
import sys
import threading
from pathlib import Path
from typing import Annotated

import numpy
import torch
import torch.nn.functional as F
import transformers
import uvicorn
from fastapi import FastAPI, Form, UploadFile
from PIL import Image, ImageOps
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent.parent / "reference"))
import dinov2

NAME = "dinov2-vitb14"
MEAN, STD = ((torch.tensor(values).view(3, 1, 1)) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
WINDOW, TEMPERATURE = 5, 0.05


def load(weights):
    """transformers' model with these weights."""
    config, state = dinov2.CONFIGS[NAME], load_file(weights)
    model = transformers.Dinov2Model(transformers.Dinov2Config(
        hidden_size=config.dim, num_hidden_layers=config.depth, num_attention_heads=config.heads, patch_size=config.patch,
        image_size=config.patch * config.grid, layer_norm_eps=dinov2.LAYER_NORM_EPS,
        use_mask_token=False))
    model.load_state_dict(dinov2.to_transformers5(state))

    def positions(embeddings, height, width):
        return dinov2.position_embedding(state, config, height // config.patch, width // config.patch)

    # transformers stretches positions by the ratio of the sizes, the official code by a little more: the answers would differ
    model.embeddings.interpolate_pos_encoding = positions
    return model.eval()


def decode(file):
    """The photo as displayed."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")


def pixels(photo, resolution):
    """[1, 3, resolution, resolution], normalised."""
    photo = photo.resize((resolution, resolution), Image.Resampling.BICUBIC)
    values = torch.from_numpy(numpy.array(photo)).permute(2, 0, 1).float() / 255
    return ((values - MEAN) / STD).unsqueeze(0)


class Describer:
    """Descriptors of photos, [C, h, w], and the photos' sizes (width, height)."""

    def __init__(self, model, resolution, keep):
        self.model, self.resolution = model, resolution
        self.lock, self.kept = threading.Lock(), {} if keep else None

    def __call__(self, file):
        key = None if self.kept is None else hashlib.sha256(file).digest()
        if key is not None and key in self.kept:
            return self.kept[key]
        photo = decode(file)
        image = pixels(photo, self.resolution)
        side = self.resolution // dinov2.CONFIGS[NAME].patch
        with self.lock:
            tokens = self.model(image).last_hidden_state[0, 1:]
        described = tokens.T.reshape(-1, side, side), photo.size
        if key is not None:
            self.kept[key] = described
        return described


def search(source, target, points):
    """Window soft-argmax, as `core::matching` has it: places in pixels of the target, similarities and confidences."""
    (map_a, (width_a, height_a)), (map_b, (width_b, height_b)) = source, target
    _, rows, columns = map_b.shape
    # grid_sample's corners are at -1 and 1, and the centres of tokens half a token within, as ours
    at = points / torch.tensor([width_a, height_a]) * 2 - 1
    queries = F.grid_sample(map_a[None], at[None, None].float(), padding_mode="border", align_corners=False)[0, :, 0].T
    similarity = F.normalize(queries, dim=1) @ F.normalize(map_b.flatten(1), dim=0)
    top, best = similarity.max(dim=1)
    i, j = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    i, j = i.flatten(), j.flatten()
    near = ((i - i[best, None]).abs() <= WINDOW // 2) & ((j - j[best, None]).abs() <= WINDOW // 2)
    weight = ((similarity - top[:, None]) / TEMPERATURE).double().exp()
    confidence = (weight * near).sum(1) / weight.sum(1)
    weight = weight * near / (weight * near).sum(1, keepdim=True)
    x, y = (weight * (j + 0.5)).sum(1) * width_b / columns, (weight * (i + 0.5)).sum(1) * height_b / rows
    return torch.stack((x, y), dim=1).tolist(), top.tolist(), confidence.tolist()


def application(describe):
    app = FastAPI()

    # not `async`: FastAPI then calls it in a thread
    @app.post("/match")
    def match(source: UploadFile, target: list[UploadFile], request: Annotated[str, Form()]):
        points = json.loads(request)["points"]
        at = torch.tensor(points, dtype=torch.float64)
        with torch.inference_mode():
            first = describe(source.file.read())
            targets = []
            for image in target:
                second = describe(image.file.read())
                found = zip(points, *search(first, second, at))
                matches = [dict(source=p, target=q, similarity=s, confidence=c) for p, q, s, c in found]
                targets.append(dict(width=second[1][0], height=second[1][1], matches=matches))
        return dict(source=dict(width=first[1][0], height=first[1][1]), targets=targets)

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--resolution", type=int, default=448)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    describe = Describer(load(arguments.weights), arguments.resolution, arguments.cache)
    app = application(describe)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
