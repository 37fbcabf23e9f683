"""Makes tests/golden/dinov3*: tiny DINOv3 checkpoints in every naming, and their features.

    python tests/reference/make_golden_dinov3.py [--out tests/golden]

Everything is seeded: a second run on the same machine with the pinned versions writes the same bytes.
"""

import argparse
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

import dinov3
from dinov2 import write_safetensors
from dinov3 import Config

# heads of 12 channels: three periods, two of which bfloat16 rounds
VARIANTS = {
    "plain": Config(dim=24, depth=2, heads=2, hidden=32, patch=4),
    "swiglu": Config(dim=24, depth=2, heads=2, hidden=24, swiglu=True, patch=4),
}
SPLIT = 1
# (height, width, batch): square, odd, smaller and not square, tall, and a single patch
SIZES = [(16, 16, 1), (20, 20, 1), (12, 20, 2), (28, 12, 1), (4, 4, 1)]
TOKENS_OF = "12x20"
AGREEMENT = 1e-5


def relative_difference(value, truth):
    return float((value - truth).abs().max() / truth.abs().max())


def halved(tensors):
    """Stored as float16, to keep the repository small: the values are those, widened."""
    return OrderedDict((name, tensor.half()) for name, tensor in tensors.items())


def make_inputs(path):
    """What the networks take, N(0, 1)."""
    generator = torch.Generator().manual_seed(16)
    inputs = {
        f"{height}x{width}": torch.randn(batch, 3, height, width, generator=generator).half()
        for height, width, batch in SIZES
    }
    write_safetensors(path, {f"{size}.input": value for size, value in inputs.items()}, {"distribution": "N(0, 1)"})
    return {size: value.float() for size, value in inputs.items()}


def transformers_model(config, state):
    """transformers' own model with these weights. A tensor missing from, or unknown to, it is an error."""
    settings = transformers.DINOv3ViTConfig(
        hidden_size=config.dim, num_hidden_layers=config.depth, num_attention_heads=config.heads,
        intermediate_size=config.hidden, use_gated_mlp=config.swiglu, hidden_act="silu" if config.swiglu else "gelu",
        num_register_tokens=config.registers, patch_size=config.patch, image_size=4 * config.patch)
    with tempfile.TemporaryDirectory() as folder:
        settings.architectures = ["DINOv3ViTModel"]
        settings.save_pretrained(folder)
        write_safetensors(Path(folder) / "model.safetensors", dinov3.to_hub(state), {"format": "pt"})
        model, loading = transformers.DINOv3ViTModel.from_pretrained(folder, output_loading_info=True)
        assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
        for options, expected in ({}, dinov3.to_hub(state)), ({"save_original_format": False}, dinov3.to_transformers5(state)):
            model.save_pretrained(folder, **options)
            written = load_file(Path(folder) / "model.safetensors")
            assert written.keys() == expected.keys(), (options, written.keys() ^ expected.keys())
            assert all(torch.equal(written[name], expected[name]) for name in expected)
    assert settings.layer_norm_eps == dinov3.LAYER_NORM_EPS and settings.rope_theta == dinov3.ROPE_BASE
    return model.eval()


def compare(variant, size, model, periods, config, images, features):
    """Holds the official formula against transformers' model, with the official periods and with its own."""
    rope = model.rope_embeddings
    own, official = rope.inv_freq, 1 / periods.float()
    differences = {}
    for name, frequencies in (("its own fp32", own), ("the files' bfloat16", official)):
        rope.inv_freq = frequencies
        theirs = model(images, output_hidden_states=True)
        output = theirs.last_hidden_state[:, config.prefix :].reshape(features.postnorm.shape)
        differences[name] = relative_difference(output, features.postnorm)
    rope.inv_freq = own
    last = theirs.hidden_states[config.depth][:, config.prefix :].reshape(features.prenorm.shape)
    print(f"{variant:6} {size:6} official vs transformers, max relative difference by its periods:",
          ", ".join(f"{name} {difference:.1e}" for name, difference in differences.items()))
    assert differences["the files' bfloat16"] <= AGREEMENT
    assert relative_difference(theirs.hidden_states[SPLIT], features.tokens) <= AGREEMENT
    assert relative_difference(last, features.prenorm) <= AGREEMENT


def make(folder, variant, config, seed, inputs):
    folder.mkdir(parents=True, exist_ok=True)
    stored = halved(dinov3.random_state(config, seed, sharp=True))
    stored["rope_embed.periods"] = dinov3.rope_periods(config)  # bfloat16, as in the released files
    state = OrderedDict((name, tensor.float()) for name, tensor in stored.items())
    torch.save(stored, folder / "original.pth")
    write_safetensors(folder / "hub.safetensors", halved(dinov3.to_hub(state)), config.metadata(format="pt"))
    write_safetensors(folder / "transformers5.safetensors", halved(dinov3.to_transformers5(state)),
                      config.metadata(format="pt", names=f"transformers {transformers.__version__}, "
                                      "save_pretrained(save_original_format=False)"))
    model, tensors = transformers_model(config, state), {}
    for size, images in inputs.items():
        features = dinov3.forward(state, config, images, SPLIT)
        compare(variant, size, model, state["rope_embed.periods"], config, images, features)
        tensors |= {f"{size}.prenorm": features.prenorm, f"{size}.postnorm": features.postnorm}
        if size == TOKENS_OF:
            tensors[f"{size}.tokens"] = features.tokens
    source = f"official formula; transformers {transformers.__version__} agrees with these periods"
    write_safetensors(folder / "cases.safetensors", tensors, config.metadata(split=SPLIT, source=source))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order
    with torch.no_grad():
        inputs = make_inputs(out / "dinov3-inputs.safetensors")
        for seed, (variant, config) in enumerate(VARIANTS.items(), 31):
            make(out / f"dinov3-{variant}", variant, config, seed, inputs)


if __name__ == "__main__":
    main()
