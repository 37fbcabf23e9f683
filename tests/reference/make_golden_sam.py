"""Makes tests/golden/sam-*: tiny SAM image encoders in every naming, and their features.

    python tests/reference/make_golden_sam.py [--out tests/golden]

Everything is seeded: a second run on the same machine with the pinned versions writes the same bytes.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

import sam
from dinov2 import write_safetensors
from sam import Config

VARIANTS = {
    # windows of 3 on a trained grid of 7: the last of each axis are filled with padding
    "windows": Config(dim=16, depth=3, heads=2, global_blocks=(1,), window=3, patch=4, grid=7, mlp_ratio=2, neck=8),
    # a window larger than the trained grid; a head's width whose root is no number of few bits; global first and last
    "wide": Config(dim=12, depth=3, heads=2, global_blocks=(0, 2), window=5, patch=4, grid=4, mlp_ratio=2, neck=16),
}
SPLIT = 1
# (height, width, batch) in patches
GRIDS = [(7, 7, 1), (4, 4, 1), (9, 9, 1), (5, 3, 2), (3, 11, 1), (7, 5, 1), (1, 2, 1)]
# more tokens than the graph's loop over queries takes in one turn, and no multiple of them
LARGE = (17, 16, 1)
WITH_TOKENS = "20x12"
AGREEMENT = 1e-5


def relative_difference(value, truth):
    return float((value - truth).abs().max() / truth.abs().max())


def make_inputs(path):
    """What the network takes, N(0, 1), for both variants; stored as float16, to be widened to float32."""
    generator = torch.Generator().manual_seed(16)
    inputs = {
        f"{4 * rows}x{4 * columns}": torch.randn(batch, 3, 4 * rows, 4 * columns, generator=generator).half()
        for rows, columns, batch in [*GRIDS, LARGE]
    }
    write_safetensors(path, {f"{size}.input": value for size, value in inputs.items()}, {"distribution": "N(0, 1)"})
    return {size: value.float() for size, value in inputs.items()}


def transformers_model(config, hub):
    """transformers' own model with these weights. A tensor missing from, or unknown to, it is an error."""
    settings = transformers.SamVisionConfig(
        hidden_size=config.dim, output_channels=config.neck, num_hidden_layers=config.depth,
        num_attention_heads=config.heads, image_size=config.patch * config.grid, patch_size=config.patch,
        window_size=config.window, global_attn_indexes=list(config.global_blocks),
        mlp_dim=config.mlp_ratio * config.dim, layer_norm_eps=sam.LAYER_NORM_EPS)
    hub = {name: tensor for name, tensor in hub.items() if name.startswith("vision_encoder.")}
    with tempfile.TemporaryDirectory() as folder:
        settings.architectures = ["SamVisionModel"]
        settings.save_pretrained(folder)
        write_safetensors(Path(folder) / "model.safetensors", hub, {"format": "pt"})
        model, loading = transformers.SamVisionModel.from_pretrained(
            folder, output_loading_info=True, attn_implementation="eager")
        assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
        # what transformers 5 writes has the names of the hub's files, by default and under its modules' own names
        for options in ({}, {"save_original_format": False}):
            model.save_pretrained(folder, **options)
            written = load_file(Path(folder) / "model.safetensors")
            assert written.keys() == hub.keys(), written.keys() ^ hub.keys()
            assert all(torch.equal(written[name], hub[name]) for name in hub)
    return model.eval()


def transformers_features(model, config, state, images):
    """transformers' features. It refuses grids but the trained one, for want of a formula for the absolute positions
    alone; given those of the reference it computes all the rest by itself, the resized tables of relative positions too."""
    encoder = model.vision_encoder
    rows, columns = (side // config.patch for side in images.shape[-2:])
    encoder.patch_embed.image_size = images.shape[-2:]
    encoder.pos_embed = torch.nn.Parameter(sam.position_embedding(state, config, rows, columns))
    output = model(images, output_hidden_states=True)
    return output.hidden_states[-1], output.last_hidden_state.permute(0, 2, 3, 1)


def make_cases(folder, variant, config, state, model, inputs):
    tensors, provenance = {}, {}
    for size, images in inputs.items():
        features = sam.forward(state, config, images, SPLIT)
        prenorm, neck = transformers_features(model, config, state, images)
        difference = max(relative_difference(prenorm, features.prenorm), relative_difference(neck, features.neck))
        print(f"{variant:8} {size:6} official vs transformers, max relative difference {difference:.1e}")
        assert difference <= AGREEMENT
        tensors |= {f"{size}.prenorm": features.prenorm, f"{size}.neck": features.neck}
        if size == WITH_TOKENS:
            tensors[f"{size}.tokens"] = features.tokens
        provenance[size] = json.dumps({"max_relative_difference": float(f"{difference:.1e}")})
    write_safetensors(folder / "cases.safetensors", tensors, config.metadata(split=SPLIT) | provenance)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    out = parser.parse_args().out
    torch.set_num_threads(1)  # sums in one order
    with torch.no_grad():
        inputs = make_inputs(out / "sam-inputs.safetensors")
        for seed, (variant, config) in enumerate(VARIANTS.items(), 1):
            folder = out / f"sam-{variant}"
            folder.mkdir(parents=True, exist_ok=True)
            state = sam.random_state(config, seed, sharp=True)
            torch.save(state, folder / "original.pth")
            hub = sam.to_hub(state)
            write_safetensors(folder / "hub.safetensors", hub, config.metadata() | {"format": "pt"})
            model = transformers_model(config, hub)
            of_variant = dict(list(inputs.items())[:-1]) if variant == "wide" else inputs
            make_cases(folder, variant, config, state, model, of_variant)


if __name__ == "__main__":
    main()
