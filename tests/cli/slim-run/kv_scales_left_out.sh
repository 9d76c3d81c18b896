# A compressed-tensors checkpoint with scales of a quantized KV cache runs, and says that they are passed over.
slim-convert $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic -o other --to compressed-tensors -q --allow-loss
cp $TESTDATA/golden/models/mini-qwen2-bfloat16/tokenizer* other/
slim-run other -p "It was the best" -n 4 >plain.txt
python3 - other/config.json <<'END'
import json, sys
config = json.load(open(sys.argv[1]))
config["quantization_config"]["kv_cache_scheme"] = {"num_bits": 8, "type": "float", "strategy": "tensor"}
json.dump(config, open(sys.argv[1], "w"))
END
slim-run other -p "It was the best" -n 4 >scaled.txt
cmp plain.txt scaled.txt && echo same
slim-diff other other --prompts $TESTDATA/golden/calib.jsonl --windows 1 --tokens 16 --json >/dev/null
