"""Records msModelSlim's one-click outputs as tests/golden_recipes_test.py compares them: testdata/golden/one-click.json.

usage: record_golden_rows.py GOLDEN SLIM_QUANT    GOLDEN: the folder with one-click/MODEL/RECIPE, recipes and models in full
Needs torch and transformers. Codes are held as a digest of the golden ones and the places where slim-quant's differ now; a row whose differences are
beyond its limits, or a gptq row whose weight SQNR on the calibration inputs is worse by more than 0.1 dB, is not recorded.
"""
import base64
import hashlib
import json
import pathlib
import struct
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import golden_recipes_test as golden  # noqa: E402
from checkpoint_files import read_safetensors  # noqa: E402

# Not compared: another layout by design (compressed-tensors is slim-convert's), a histogram that searches where msModelSlim's does not.
EXACT = ("w8a16", "w8a8-dynamic", "w8a8-ssz", "w4a8", "w4a8-ssz", "fp8", "mxfp8", "mxfp4")
CALIBRATED = ("w8a8-static", "w8a8-smooth-dynamic", "w8a8-smooth-static", "w8a8-smooth05-static", "w8a8-smoothall-static", "w8a8-smoothasym-static",
              "w8a8-smoothquant-static", "w8a8-flex-static", "w8a8-mix", "w8a8-c8")
GPTQ = ("gptq-group", "gptq-w4a8", "gptq-w8a16")


def tensors_of(folder):
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found.update(read_safetensors(path))
    return found


def worst_sqnr(source, calibration, expected, actual):
    """The largest loss of weight SQNR on the calibration inputs, in dB."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    tokenizer, model = AutoTokenizer.from_pretrained(source), AutoModelForCausalLM.from_pretrained(source, torch_dtype=torch.float32).eval()
    moments, linears = {}, {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and "layers" in name}
    for name, module in linears.items():
        def add(_, inputs, name=name):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            moments[name] = moments.get(name, 0) + x.T @ x
        module.register_forward_pre_hook(add)
    with torch.no_grad():
        for line in open(calibration, encoding="utf-8"):
            model(**tokenizer(json.loads(line)["inputs_pretokenized"], return_tensors="pt"))

    def noise(found, name):
        weight = linears[name].weight.detach().double()
        codes = torch.tensor(found[name + ".weight"].values()).view(found[name + ".weight"].shape)
        if codes.shape != weight.shape:
            codes = torch.stack([codes & 15, codes >> 4 & 15], 1).reshape(weight.shape)
            codes = torch.where(codes > 7, codes - 16, codes)
        scale, offset = (torch.tensor(found[f"{name}.weight_{part}"].values()).double().view(weight.shape[0], -1, 1) for part in ("scale", "offset"))
        error = weight - ((codes.double().view(weight.shape[0], scale.shape[1], -1) - offset) * scale).view(weight.shape)
        return torch.trace(error @ moments[name] @ error.T)
    return max(float(10 * torch.log10(noise(actual, name) / noise(expected, name))) for name in linears)


def record_row(folder, source, recipe, limits, calibration, program):
    with tempfile.TemporaryDirectory() as scratch:
        out = golden.quantize(program, source, recipe, calibration, pathlib.Path(scratch))
        actual = tensors_of(out)
    expected, codes, floats = tensors_of(folder), {}, {}
    for name, tensor in expected.items():
        kind = name.rsplit(".", 1)[1]
        if tensor.dtype == "I8":
            places = [i for i, (a, b) in enumerate(zip(tensor.data, actual[name].data)) if a != b]
            codes[name] = {"digest": hashlib.blake2b(tensor.data, digest_size=16).hexdigest(), "differ": {i: tensor.data[i] for i in places}}
        elif tensor.dtype == "F32" and kind != "scale_bias" and (".layers." in name and not (kind == "weight" and len(tensor.shape) > 1)):
            floats[name] = tensor.values()
    row = {"limits": limits, "codes": codes, "names": list(floats)}
    values = [value for name in floats for value in floats[name]]
    row["floats"] = base64.b64encode(zlib.compress(struct.pack(f"<{len(values)}f", *values), 9)).decode()
    faults = golden.differences(row, actual)
    if folder.name in GPTQ:
        row["sqnr_loss_db"] = round(worst_sqnr(source, calibration, expected, actual), 4)
        if row["sqnr_loss_db"] > 0.1:
            faults.append(f"SQNR {row['sqnr_loss_db']} dB below")
    print(folder.name, "differing codes", sum(len(held["differ"]) for held in codes.values()), row.get("sqnr_loss_db", ""), faults)
    return None if faults else row


def main():
    root, program, rows = pathlib.Path(sys.argv[1]), sys.argv[2], {}
    for folder in sorted(root.glob("one-click/*/*")):
        source, recipe = root / "models" / folder.parent.name, root / "recipes" / f"{folder.name}.yaml"
        single = folder.parent.name.endswith("float32")
        if folder.name in EXACT:
            row = {"files": {path.name: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in sorted(folder.glob("quant_model_*"))}}
        elif single and folder.name in CALIBRATED:
            row = record_row(folder, source, recipe, golden.LIMITS | golden.EXCEPTIONS.get(folder.name, {}), root / "calib.jsonl", program)
        elif single and folder.name in GPTQ:
            row = record_row(folder, source, recipe, golden.LIMITS | {"codes": 0.01, "by": 255}, root / "calib.jsonl", program)
        else:
            continue
        if row:
            rows[f"{folder.parent.name}/{folder.name}"] = row
    text = json.dumps(rows, separators=(",", ":")).replace('"mini-', '\n"mini-')
    (pathlib.Path(golden.ROOT) / "testdata/golden/one-click.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
