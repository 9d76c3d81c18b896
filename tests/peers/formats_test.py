#!/usr/bin/env python3
"""Holds the file formats that slim-convert reads and writes against the packages that own them: gguf's reader reads what slim
writes and its writer and quantizer make what slim reads."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import gguf
import numpy as np
import torch
from safetensors.torch import load_file

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
MODELS = os.path.join(ROOT, "testdata", "models")
GOLDEN = os.path.join(ROOT, "testdata", "golden")

torch.set_num_threads(1)


def convert(source, target, *words):
    process = subprocess.run([os.path.join(BIN, "slim-convert"), source, "-o", target, "--no-fsync", "-q", *words],
                             capture_output=True, text=True, timeout=600, check=False)
    assert process.returncode == 0, f"slim-convert {source} {' '.join(words)}: exit {process.returncode}\n{process.stderr}"


def bits(tensor):
    """Bytes of a torch tensor, whatever its dtype."""
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def interleaved(weight, heads):
    """llama.cpp's order of query and key rows."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


class Scratch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="slim-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)


class GgufTest(Scratch):
    NAMES = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 8)

    def name(self, hf):
        """By llama.cpp's own table."""
        return self.NAMES.get_name(hf, try_suffixes=(".weight", ".bias"))

    def order(self, model, config, hf, tensor):
        if config["model_type"] == "llama" and (".q_proj." in hf or ".k_proj." in hf):
            return interleaved(tensor, config["num_attention_heads" if ".q_" in hf else "num_key_value_heads"])
        return tensor

    def test_floats(self):
        for model in ("tiny-llama", "tiny-qwen2", "tiny-qwen3"):
            convert(os.path.join(MODELS, model), self.path(model), "--to", "gguf")
            with open(os.path.join(MODELS, model, "config.json"), encoding="utf-8") as file:
                config = json.load(file)
            source = load_file(os.path.join(MODELS, model, "model.safetensors"))
            reader = gguf.GGUFReader(self.path(model) + "/model.gguf")
            self.assertEqual(reader.get_field("general.architecture").contents(), config["model_type"])
            tensors = {tensor.name: tensor for tensor in reader.tensors}
            self.assertEqual(set(tensors), {self.name(hf) for hf in source})
            for hf, tensor in source.items():
                found, wanted = tensors[self.name(hf)], self.order(model, config, hf, tensor)
                if wanted.dim() == 1:
                    wanted = wanted.float()
                self.assertEqual([int(n) for n in found.shape], list(reversed(wanted.shape)), hf)
                self.assertEqual(found.data.tobytes(), bits(wanted), hf)

    def test_int8(self):
        """Codes stay, every block has its row's scale in fp16."""
        source = os.path.join(GOLDEN, "one-click/mini-qwen2-float32/w8a8-smooth-dynamic")
        convert(source, self.path("q8"), "--to", "gguf", "--allow-loss")
        tensors = {}
        for name in os.listdir(source):
            if name.endswith(".safetensors"):
                tensors.update(load_file(os.path.join(source, name)))
        checked = 0
        for tensor in gguf.GGUFReader(self.path("q8") + "/model.gguf").tensors:
            if tensor.tensor_type != gguf.GGMLQuantizationType.Q8_0:
                continue
            hf = next(name for name in tensors if name.endswith(".weight") and self.name(name) == tensor.name)
            scale = tensors[hf + "_scale"].half().float()
            wanted = (tensors[hf].float() * scale).numpy()
            self.assertTrue(np.array_equal(gguf.quants.dequantize(tensor.data, tensor.tensor_type), wanted), hf)
            checked += 1
        self.assertEqual(checked, 14)

    def write(self, path, quantize):
        """tiny-llama as llama.cpp's converter writes it, with little metadata and Q8_0 matrices."""
        with open(os.path.join(MODELS, "tiny-llama/config.json"), encoding="utf-8") as file:
            config = json.load(file)
        with open(os.path.join(MODELS, "tiny-llama/tokenizer.json"), encoding="utf-8") as file:
            tokenizer = json.load(file)
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_tokenizer_model("llama")
        vocabulary = dict(tokenizer["model"]["vocab"])
        vocabulary.update({token["content"]: token["id"] for token in tokenizer["added_tokens"]})
        special = {token["content"] for token in tokenizer["added_tokens"]}
        ranks = {"".join(merge): rank for rank, merge in reversed(list(enumerate(tokenizer["model"]["merges"])))}
        tokens = sorted(vocabulary, key=vocabulary.get)
        writer.add_token_list(tokens)
        writer.add_token_scores([-1.0 - ranks.get(token, 1e6) for token in tokens])
        writer.add_token_types([2 if token == "<unk>" else 3 if token in special else 6 if token.startswith("<0x") else 1
                                for token in tokens])
        writer.add_bos_token_id(config["bos_token_id"])
        writer.add_unk_token_id(0)
        made = {}
        for hf, tensor in load_file(os.path.join(MODELS, "tiny-llama/model.safetensors")).items():
            ordered = self.order("tiny-llama", config, hf, tensor).float().numpy()
            if tensor.dim() == 2 and quantize:
                blocks = gguf.quants.quantize(ordered, gguf.GGMLQuantizationType.Q8_0)
                writer.add_tensor(self.name(hf), blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
                made[hf] = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0)
            else:
                writer.add_tensor(self.name(hf), ordered if tensor.dim() == 1 else ordered.astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return config, made

    def test_reads_what_the_package_writes(self):
        config, made = self.write(self.path("m.gguf"), True)
        convert(self.path("m.gguf"), self.path("hf"), "--dequantize", "--dtype", "fp32")
        tensors = load_file(self.path("hf") + "/model.safetensors")
        self.assertEqual(len(made), 16)
        for hf, wanted in made.items():
            self.assertTrue(torch.equal(self.order("tiny-llama", config, hf, tensors[hf]), torch.from_numpy(wanted)), hf)
        convert(self.path("m.gguf"), self.path("a1"), "--to", "ascendv1", "--allow-loss")

    def test_tokenizer_from_scores(self):
        self.write(self.path("m.gguf"), False)
        convert(self.path("m.gguf"), self.path("hf"), "--to", "hf")
        tensors = load_file(self.path("hf") + "/model.safetensors")
        for name, tensor in load_file(os.path.join(MODELS, "tiny-llama/model.safetensors")).items():
            self.assertEqual(bits(tensors[name]), bits(tensor), name)
        from tokenizers import Tokenizer
        ours = Tokenizer.from_file(self.path("hf") + "/tokenizer.json")
        theirs = Tokenizer.from_file(os.path.join(MODELS, "tiny-llama/tokenizer.json"))
        with open(os.path.join(GOLDEN, "held-out-text.txt"), encoding="utf-8") as file:
            text = file.read()[:4000]
        for line in text.split("\n"):
            self.assertEqual(ours.encode(line).ids, theirs.encode(line).ids)
            self.assertEqual(ours.decode(ours.encode(line).ids), theirs.decode(theirs.encode(line).ids))


class TorchTest(Scratch):
    def model(self, name):
        folder = self.path(name)
        os.makedirs(folder)
        for file in os.listdir(os.path.join(MODELS, "tiny-qwen2")):
            if not file.startswith("model"):
                shutil.copy(os.path.join(MODELS, "tiny-qwen2", file), folder)
        return folder, load_file(os.path.join(MODELS, "tiny-qwen2/model.safetensors"))

    def same(self, folder, tensors):
        convert(folder, folder + "-hf", "--to", "hf", "--force")
        found = {}
        for name in os.listdir(folder + "-hf"):
            if name.endswith(".safetensors"):
                found.update(load_file(os.path.join(folder + "-hf", name)))
        self.assertEqual(set(found), set(tensors))
        for name, tensor in tensors.items():
            self.assertEqual(bits(found[name]), bits(tensor), name)

    def test_single(self):
        folder, tensors = self.model("single")
        for legacy in (False, True):
            torch.save(tensors, folder + "/pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
            self.same(folder, tensors)
        convert(folder, folder + "-a1", "--to", "ascendv1")

    def test_views(self):
        """Transposed, sliced, tied and parameters: what a state_dict may hold."""
        folder, tensors = self.model("views")
        name = "model.layers.0.mlp.up_proj.weight"
        stored = dict(tensors)
        stored[name] = tensors[name].T.contiguous().T
        joined = torch.cat([tensors["model.layers.0.self_attn.q_proj.weight"], tensors["model.layers.1.self_attn.q_proj.weight"]])
        stored["model.layers.0.self_attn.q_proj.weight"], stored["model.layers.1.self_attn.q_proj.weight"] = joined.chunk(2)
        wide = torch.zeros(2 * tensors["model.norm.weight"].numel(), dtype=tensors["model.norm.weight"].dtype)
        wide[::2] = tensors["model.norm.weight"]
        stored["model.norm.weight"] = torch.nn.Parameter(wide)[::2].detach()
        tensors["lm_head.weight"] = stored["lm_head.weight"] = stored["model.embed_tokens.weight"]
        torch.save(stored, folder + "/pytorch_model.bin")
        self.same(folder, tensors)

    def test_sharded(self):
        folder, tensors = self.model("sharded")
        names = sorted(tensors)
        weight_map = {}
        for i in range(3):
            file = f"pytorch_model-{i + 1:05d}-of-00003.bin"
            weight_map.update({name: file for name in names[i::3]})
            torch.save({name: tensors[name] for name in names[i::3]}, os.path.join(folder, file))
        with open(folder + "/pytorch_model.bin.index.json", "w", encoding="utf-8") as file:
            json.dump({"metadata": {"total_size": 0}, "weight_map": weight_map}, file)
        self.same(folder, tensors)


class NpyTest(Scratch):
    def write(self, tensors, quantize, as_arrays=False):
        """As formats.md 5.6 has msModelSlim's numpy saver do it."""
        folder = self.path("npy")
        os.makedirs(folder)
        with open(os.path.join(GOLDEN, "one-click/mini-qwen2-float32/w8a8-static/config.json"), encoding="utf-8") as file:
            config = json.load(file)
        config.update(model_type="llama", architectures=["LlamaForCausalLM"])  # Qwen2 has biases, which this layout loses
        if quantize:
            config["quantize"] = quantize
        with open(folder + "/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        files = {}
        for name, tensor in tensors.items():
            module, suffix = name.rsplit(".", 1)
            if "norm" in module:
                files.setdefault("anti_fp_norm", {})[name] = tensor
            else:
                files.setdefault("quant_weight" if suffix == "weight" else suffix, {})[module] = tensor
        for file, content in files.items():
            if as_arrays:
                content = {name: tensor.numpy() for name, tensor in content.items()}
            np.save(f"{folder}/{file}.npy", content, allow_pickle=True)
        return folder

    def load(self, case):
        folder = os.path.join(GOLDEN, "one-click/mini-qwen2-float32", case)
        tensors = {}
        for name in os.listdir(folder):
            if name.endswith(".safetensors"):
                tensors.update(load_file(os.path.join(folder, name)))
        return {name: tensor for name, tensor in tensors.items() if not name.endswith(".bias") or "norm" in name}

    def test_tensors(self):
        for case, quantize in (("w8a8-static", ""), ("w8a8-smooth-dynamic", "w8a8_dynamic")):
            for as_arrays in (False, True):
                self.setUp()
                tensors = self.load(case)
                folder = self.write(tensors, quantize, as_arrays)
                convert(folder, folder + "-a1", "--to", "ascendv1")
                found = {}
                for name in os.listdir(folder + "-a1"):
                    if name.endswith(".safetensors"):
                        found.update(load_file(os.path.join(folder + "-a1", name)))
                self.assertEqual(set(found), set(tensors))
                for name, tensor in tensors.items():
                    self.assertEqual(bits(found[name]), bits(tensor), name)

    def test_written(self):
        """numpy.load gives the tensors back."""
        tensors = self.load("w8a8-smooth-dynamic")
        folder = self.write(tensors, "w8a8_dynamic")
        convert(folder, folder + "-a1", "--to", "ascendv1")
        convert(folder + "-a1", folder + "-again", "--to", "npy")
        found = {}
        for file in os.listdir(folder + "-again"):
            if not file.endswith(".npy"):
                continue
            for key, tensor in np.load(os.path.join(folder + "-again", file), allow_pickle=True).item().items():
                kind = {"quant_weight": ".weight", "anti_fp_norm": ""}.get(file[:-4], "." + file[:-4])
                found[key + kind] = tensor
        self.assertEqual(set(found), set(tensors))
        for name, tensor in tensors.items():
            self.assertEqual(bits(found[name]), bits(tensor), name)


if __name__ == "__main__":
    unittest.main()
