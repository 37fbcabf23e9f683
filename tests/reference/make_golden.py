"""Makes tests/golden: tiny DINOv2 checkpoints in every naming, their features, and state dicts for the pickle reader.

    python tests/reference/make_golden.py [--out tests/golden]

Everything is seeded: a second run on the same machine with the pinned versions writes the same bytes.
"""

import argparse
import io
import json
import os
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

import dinov2
from dinov2 import Config, write_safetensors

VARIANTS = {
    "plain": Config(dim=16, depth=3, heads=2, registers=0, grid=5),
    "reg4": Config(dim=16, depth=3, heads=2, registers=4, grid=5),
    "swiglu": Config(dim=8, depth=2, heads=2, grid=5, swiglu=True),
}
# stored as float16, to keep the repository small: the values are those, widened
HALF = {"swiglu"}
SPLIT = 1
# (height, width, batch): identity, larger, smaller and not square, much wider, and one side only
SIZES = [(70, 70, 1), (98, 98, 1), (42, 56, 2), (84, 140, 1), (70, 84, 1)]
IDENTITY = "70x70"
AGREEMENT = 1e-5


def relative_difference(value, truth):
    return float((value - truth).abs().max() / truth.abs().max())


def make_inputs(path):
    """What the network takes, N(0, 1). One file for all variants, and half precision, to keep the repository small:
    the values are those of the stored float16, widened to float32."""
    generator = torch.Generator().manual_seed(70)
    inputs = {
        f"{height}x{width}": torch.randn(batch, 3, height, width, generator=generator).half()
        for height, width, batch in SIZES
    }
    write_safetensors(path, {f"{size}.input": value for size, value in inputs.items()}, {"distribution": "N(0, 1)"})
    return {size: value.float() for size, value in inputs.items()}


def transformers_model(config, hub_state):
    """transformers' own model with these weights. A tensor missing from, or unknown to, it is an error."""
    fields = dict(hidden_size=config.dim, num_hidden_layers=config.depth, num_attention_heads=config.heads,
                  mlp_ratio=config.mlp_ratio, use_swiglu_ffn=config.swiglu, patch_size=config.patch,
                  image_size=config.patch * config.grid, layer_norm_eps=dinov2.LAYER_NORM_EPS)
    if config.registers:
        kind = transformers.Dinov2WithRegistersModel
        settings = transformers.Dinov2WithRegistersConfig(**fields, num_register_tokens=config.registers)
    else:
        kind, settings = transformers.Dinov2Model, transformers.Dinov2Config(**fields)
    with tempfile.TemporaryDirectory() as folder:
        settings.architectures = [kind.__name__]
        settings.save_pretrained(folder)
        write_safetensors(Path(folder) / "model.safetensors", hub_state, {"format": "pt"})
        model, loading = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    return model.eval()


def names_saved(model, **options):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, **options)
        return load_file(Path(folder) / "model.safetensors")


def make_sharded(folder, state, metadata):
    """A checkpoint in two shards with its index, as the hub has for large models."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(state)
    # cut in the middle of a block, so that a reader must gather a block from two files
    cut = next(i for i, name in enumerate(names) if name.startswith("encoder.layer.0.mlp.fc1"))
    weight_map = {}
    for number, part in enumerate((names[:cut], names[cut:]), 1):
        shard = f"model-{number:05}-of-00002.safetensors"
        write_safetensors(folder / shard, {name: state[name] for name in part}, metadata | {"format": "pt"})
        weight_map |= dict.fromkeys(part, shard)
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def make_checkpoints(folder, config, state, dtype):
    """The same weights in every naming. Returns transformers' model, loaded from the hub naming."""

    def stored(tensors):
        return OrderedDict((name, tensor.to(dtype)) for name, tensor in tensors.items())

    folder.mkdir(parents=True, exist_ok=True)
    torch.save(stored(state), folder / "original.pth")
    metadata = config.metadata()
    hub = dinov2.to_hub(state)
    if config.registers:
        make_sharded(folder / "hub", hub, metadata)
    else:
        write_safetensors(folder / "hub.safetensors", stored(hub), metadata | {"format": "pt"})

    model = transformers_model(config, hub)
    # By default save_pretrained maps the names back to those of the hub; save_original_format=False writes the
    # names of the modules, as do `state_dict()` and every training code that saves it.
    for written, expected in (
        (names_saved(model), hub),
        (names_saved(model, save_original_format=False), dinov2.to_transformers5(state)),
    ):
        assert written.keys() == expected.keys(), written.keys() ^ expected.keys()
        assert all(torch.equal(written[name], expected[name]) for name in expected)
    source = f"transformers {transformers.__version__}, save_pretrained(save_original_format=False)"
    write_safetensors(folder / "transformers5.safetensors", stored(dinov2.to_transformers5(state)),
                      metadata | {"format": "pt", "names": source})
    return model


def make_cases(folder, variant, config, state, model, inputs):
    """Features of every input by the official formula, and transformers' own where it follows the same formula."""
    tensors, provenance = {}, {}
    for size, images in inputs.items():
        features = dinov2.forward(state, config, images, SPLIT)
        theirs = model(images, output_hidden_states=True)
        output = theirs.last_hidden_state[:, config.prefix :].reshape(features.postnorm.shape)
        difference = relative_difference(output, features.postnorm)
        agrees = difference <= AGREEMENT
        print(f"{variant:6} {size:8} official vs transformers, max relative difference {difference:.1e}"
              f"{'' if agrees else '  (transformers interpolates positions with size=, without the offset)'}")
        if size == IDENTITY or config.registers:
            last = theirs.hidden_states[config.depth][:, config.prefix :].reshape(features.prenorm.shape)
            assert agrees, f"{variant} {size}: {difference}"
            assert relative_difference(theirs.hidden_states[SPLIT], features.tokens) <= AGREEMENT
            assert relative_difference(last, features.prenorm) <= AGREEMENT

        tensors |= {f"{size}.tokens": features.tokens, f"{size}.prenorm": features.prenorm,
                    f"{size}.postnorm": features.postnorm}
        case = dict.fromkeys(("tokens", "prenorm", "postnorm"), "official formula")
        if agrees:
            tensors[f"{size}.transformers.postnorm"] = output
            case["transformers.postnorm"] = f"transformers {transformers.__version__}"
        case["max_relative_difference"] = float(f"{difference:.1e}")
        provenance[size] = json.dumps(case)
    write_safetensors(folder / "cases.safetensors", tensors, config.metadata(split=SPLIT) | provenance)


class Evil:
    """Unpickling this calls os.system. The command only leaves a trace that a test can look for."""

    def __reduce__(self):
        return os.system, ("touch homolog-was-here",)


def save_legacy(state, path):
    """`torch.save` in the format before 1.6, with the same bytes every time.

    That format names storages by their addresses and orders their data by those names. So the tensors are put into
    storages of ascending names, and the names then replaced by "0", "1", ...
    """

    def address(tensor):
        return str(tensor.untyped_storage()._cdata)

    copies = sorted((torch.empty(0) for _ in state), key=address)
    for copy, value in zip(copies, state.values()):
        copy.resize_(value.shape).copy_(value)
    state = OrderedDict(zip(state, copies))
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    for number, copy in enumerate(copies):
        before, after = (b"X" + len(key).to_bytes(4, "little") + key.encode() for key in (address(copy), str(number)))
        assert data.count(before) == 2  # where the tensor refers to it, and in the list of storages
        data = data.replace(before, after)
    path.write_bytes(data)


def make_pickles(folder):
    """What `torch.save` writes in the wild, each with its truth in safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(5)

    def random(*shape):
        return torch.randn(shape, generator=generator)

    shared = random(6, 8)
    views = OrderedDict(  # all but the last share one storage
        whole=shared,
        transposed=shared.T,
        strided=shared[::2, 1::3],
        tail=shared.flatten()[13:40],  # contiguous, at an offset
        permuted=shared.view(2, 3, 8).permute(2, 0, 1),
        broadcast=random(1, 5).expand(3, 5),  # stride 0
    )
    torch.save(views, folder / "non_contiguous.pth")
    truth = {name: view.clone(memory_format=torch.contiguous_format) for name, view in views.items()}
    write_safetensors(folder / "non_contiguous.safetensors", truth)

    # with values that round differently in the two, a subnormal, and the largest float16
    values = torch.cat((random(29), torch.tensor([1 / 3, 6e-8, 65504.0])))
    values = values.view(4, 8)
    half = OrderedDict(float16=values.half(), bfloat16=values.bfloat16(), float32=values)
    torch.save(half, folder / "half.pth")
    write_safetensors(folder / "half.safetensors", half)

    small = OrderedDict(weight=random(4, 6), bias=random(4), scale=torch.tensor(2.5))
    write_safetensors(folder / "small.safetensors", small)
    torch.save({"model": small, "epoch": 3}, folder / "nested.pth")
    torch.save(OrderedDict((k, torch.nn.Parameter(v)) for k, v in small.items()), folder / "parameters.pth")
    save_legacy(small, folder / "legacy.pth")
    torch.save(OrderedDict(small, payload=Evil()), folder / "evil.pth")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order
    with torch.no_grad():
        inputs = make_inputs(out / "dinov2-inputs.safetensors")
        for seed, (variant, config) in enumerate(VARIANTS.items(), 1):
            folder = out / f"dinov2-{variant}"
            state = dinov2.random_state(config, seed, sharp=True)
            dtype = torch.float16 if variant in HALF else torch.float32
            state = OrderedDict((name, tensor.to(dtype).float()) for name, tensor in state.items())
            model = make_checkpoints(folder, config, state, dtype)
            make_cases(folder, variant, config, state, model, inputs)
    make_pickles(out / "pickle")


if __name__ == "__main__":
    main()
