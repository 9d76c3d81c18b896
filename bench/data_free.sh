#!/bin/sh
# Data-free quantization against copying: time of slim-quant over that of cp --reflink=never and sync of the same input, peak
# memory against the largest tensor, and the time of slim-verify, on a random checkpoint of 0.5 billion parameters. Medians of
# five.
#   sh bench/data_free.sh [FOLDER]    FOLDER keeps the checkpoint between runs
set -eu
cd "$(dirname "$0")/.."
work=${1:-$(mktemp -d)}
. bench/common.sh
[ -d "$work/model" ] || python3 bench/make_random_checkpoint.py "$work/model"
cat "$work/model/model.safetensors" >/dev/null
quant() { slim-quant "$work/model" -o "$work/out" --type "$1" --smooth none; }
rm -f "$work"/*.s
for _ in 1 2 3 4 5; do
  once copy copy model
  once w8a16 quant w8a16
  once w8a8_dynamic quant w8a8_dynamic
  once verify slim-verify "$work/model"
done
echo "cp --reflink=never + sync: $(median copy) s"
for type in w8a16 w8a8_dynamic; do
  report "$type" copy slim-quant "$work/model" -o "$work/out" --type "$type" --smooth none
done
echo "slim-verify (headers): $(median verify) s"
rm -rf "$work"/*.s "$work/out"
[ $# -gt 0 ] || rm -rf "$work"
