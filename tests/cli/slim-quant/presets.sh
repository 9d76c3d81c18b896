# Presets by model, type and tags; what is only a second choice says so.
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
slim-quant --list-presets | grep -c .
slim-quant --list-presets | grep qwen3-w8a8
slim-quant --list-presets --json | grep -A1 '"name": "llama-w8a8"'
quant() { slim-quant quant --model_path $M --dry-run "$@" | head -n 1; }
quant --model_type Qwen3-8B --quant_type w8a8
quant --model_type Qwen3-8B --quant_type w8a8 --tag mindie Atlas_A2_Inference
quant --model_type Qwen3-8B --quant_type w8a8 --tag SGLang
quant --model_type Baichuan2-7B --quant_type w8a16
quant --model_type Llama-2-7b-hf --quant_type w8a16
slim-quant quant --model_path $M --save_path out --model_type Qwen3-8B --quant_type w3a8 || echo "exit $?"
slim-quant quant --model_path $M --save_path out --quant_type w8a8 --config_path r.yaml || echo "exit $?"
test ! -e out
