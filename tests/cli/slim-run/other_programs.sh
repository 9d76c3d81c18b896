# Layouts of other programs run as they are, and say what the same checkpoint says in our own layout.
golden=$TESTDATA/golden
answer() { slim-run "$1" -p "It was the best of times" -n 8 --json --backend reference; }
try() {  # FROM DIALECT
  slim-convert "$golden/one-click/mini-qwen2-bfloat16/$1" -o "$1-$2" --to "$2" -q --allow-loss
  cp -n "$golden"/models/mini-qwen2-bfloat16/tokenizer* "$1-$2"/ || true
  slim-convert "$1-$2" -o own --to ascendv1 -q --force
  answer own >own.txt
  answer "$1-$2" >there.txt
  cmp own.txt there.txt && echo "$1 as $2:" && cut -d, -f 1 there.txt
}
try w8a8-dynamic compressed-tensors
try w8a8-static compressed-tensors
try w8a8-static golden-stick
try w8a16 gptq
try w8a16 gguf
# A file alone: the tokenizer is inside, and streaming reads it, too.
slim-convert $TESTDATA/models/tiny-llama -o float --to gguf -q
slim-run float/model.gguf -p "It was the best" -n 8
slim-run float/model.gguf -p "It was the best" -n 8 --stream
# FP8 blocks say what their bfloat16 twin says.
python3 $TESTDATA/mixtures/fp8_twin.py $TESTDATA/mixtures/deepseek-v3 fp8 bf16
for twin in fp8 bf16; do
  cp $golden/models/mini-qwen2-bfloat16/tokenizer* $twin/
  slim-run $twin -p "It was" -n 4 --json >$twin.txt
done
cmp fp8.txt bf16.txt && echo "the same answer"
# A file whose tokenizer nobody rebuilds: what to do.
cp -r $golden/one-click/mini-qwen2-bfloat16/w8a16 mute && rm mute/tokenizer*
slim-convert mute -o bare --to gguf -q --allow-loss
slim-run bare/model.gguf -p x || echo "exit $?"
# What only its own engine runs.
mkdir other && cp $TESTDATA/models/tiny-llama/*.safetensors other/
python3 - $TESTDATA/models/tiny-llama/config.json other/config.json <<'PYTHON'
import json, sys
config = json.load(open(sys.argv[1]))
config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
json.dump(config, open(sys.argv[2], "w"))
PYTHON
slim-run other -p x || echo "exit $?"
