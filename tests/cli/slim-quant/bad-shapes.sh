# Shapes and settings that a type cannot have: refused before anything is written.
model=$TESTDATA/golden/models/mini-qwen2-bfloat16
for arguments in "--type w8a16 --group-size 48" "--type w4a8 --group-size 32" "--type w8a8_dynamic --asymmetric" "--type w8a16 --group-size 0"; do
  slim-quant $model -o out $arguments || echo "exit $?"
done
test ! -e out
# 33 rows cannot be packed in pairs; 33 columns neither.
python3 - "$model" <<'END'
import json, pathlib, struct, sys
config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 33, "num_hidden_layers": 1,
          "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 8, "rms_norm_eps": 1e-6, "torch_dtype": "float16",
          "max_position_embeddings": 64, "tie_word_embeddings": False, "hidden_act": "silu", "rope_theta": 10000.0}
shapes = {"model.embed_tokens.weight": [8, 64], "lm_head.weight": [8, 64], "model.norm.weight": [64]}
layer = "model.layers.0."
shapes |= {layer + n + "_layernorm.weight": [64] for n in ("input", "post_attention")}
shapes |= {layer + f"self_attn.{n}_proj.weight": [64, 64] for n in "qkvo"}
shapes |= {layer + "mlp.gate_proj.weight": [33, 64], layer + "mlp.up_proj.weight": [33, 64], layer + "mlp.down_proj.weight": [64, 33]}
odd = pathlib.Path("odd"); odd.mkdir()
(odd / "config.json").write_text(json.dumps(config))
head, offset = {}, 0
for name in sorted(shapes):
    size = 2
    for d in shapes[name]: size *= d
    head[name] = {"dtype": "F16", "shape": shapes[name], "data_offsets": [offset, offset + size]}; offset += size
text = json.dumps(head).encode(); text += b" " * (-len(text) % 8)
(odd / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes([0, 60]) * (offset // 2))
END
for type in w4a8 w4a16 w4a4_mxfp4; do slim-quant odd -o out --type $type || echo "exit $?"; done
test ! -e out
slim-quant odd -o out --type w4a8 --smooth none --disable-names '*mlp*' -q --no-fsync
ls out
