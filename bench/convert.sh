#!/bin/sh
# slim-convert against copying: time over that of cp --reflink=never and sync of the same input, and peak memory (target: twice
# the largest tensor and 200 MB). ascendv1 <-> mindie (target: 1.25); FP8 blocks and GPTQ to bf16 (target: 2, over the copy of
# the bf16 that they write). Medians of ROUNDS.
#   sh bench/convert.sh [FOLDER [ROUNDS]]    FOLDER keeps the checkpoints between runs
set -eu
cd "$(dirname "$0")/.."
work=${1:-$(mktemp -d)}
rounds=${2:-5}
. bench/common.sh
[ -d "$work/model" ] || python3 bench/make_random_checkpoint.py "$work/model"
[ -d "$work/ascendv1" ] || slim-quant "$work/model" -o "$work/ascendv1" --type w8a8_dynamic --smooth none -q
[ -d "$work/mindie" ] || slim-convert "$work/ascendv1" -o "$work/mindie" --to mindie -q
[ -d "$work/gptq" ] || slim-convert "$work/ascendv1" -o "$work/gptq" --to gptq --allow-loss -q
[ -d "$work/fp8" ] || python3 bench/make_fp8_checkpoint.py "$work/fp8" --gib 0.5
[ -d "$work/gptq-bf16" ] || slim-convert "$work/gptq" -o "$work/gptq-bf16" --dequantize -q
[ -d "$work/fp8-bf16" ] || slim-convert "$work/fp8" -o "$work/fp8-bf16" --dequantize -q
cat "$work"/*/*.safetensors >/dev/null
convert() { slim-convert "$work/$1" -o "$work/out" --to "$2"; }
dequantize() { slim-convert "$work/$1" -o "$work/out" --dequantize --dtype bf16; }
rm -f "$work"/*.s
for _ in $(seq "$rounds"); do
  once copy copy ascendv1
  once ascendv1-to-mindie convert ascendv1 mindie
  once mindie-to-ascendv1 convert mindie ascendv1
  once copy-gptq-bf16 copy gptq-bf16
  once gptq-to-bf16 dequantize gptq
  once copy-fp8-bf16 copy fp8-bf16
  once fp8-block-to-bf16 dequantize fp8
done
for base in copy copy-gptq-bf16 copy-fp8-bf16; do echo "$base: $(median $base) s"; done
report ascendv1-to-mindie copy slim-convert "$work/ascendv1" -o "$work/out" --to mindie
report mindie-to-ascendv1 copy slim-convert "$work/mindie" -o "$work/out" --to ascendv1
report gptq-to-bf16 copy-gptq-bf16 slim-convert "$work/gptq" -o "$work/out" --dequantize --dtype bf16
report fp8-block-to-bf16 copy-fp8-bf16 slim-convert "$work/fp8" -o "$work/out" --dequantize --dtype bf16
rm -rf "$work"/*.s "$work/out"
[ $# -gt 0 ] || rm -rf "$work"
