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


if __name__ == "__main__":
    unittest.main()
