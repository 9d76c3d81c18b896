#!/bin/sh
# slim-run on a random checkpoint of 0.5 billion parameters against the engines it wants to beat, with two threads, every engine in
# turn in every round, medians of ROUNDS (3): prefill of 512 tokens and generation of 64.
#   sh bench/run.sh [--llama-bench PROGRAM] [--torch PYTHON] [FOLDER]
# PROGRAM is llama-bench of ik_llama.cpp (or of llama.cpp), run on the same weights as Q8_0 that our slim-convert writes; PYTHON an
# interpreter with torch and transformers. What is not given or does not run is named and left out. FOLDER keeps the checkpoints.
# Needs a build with -DSLIM_BENCH=ON. Wanted: prefill of W8A8 at least 2 x Q8_0's, of bf16 at least torch's ("rounded": with
# --compute model, which rounds activations as torch does); bytes of weights a second in generation at least those of Q8_0, and
# 0.85 of the memory's for bf16; integer products at 0.6 of the processor's peak; loading at 0.7 of pread; peak memory at most
# weights, KV cache and 200 MB.
set -eu
cd "$(dirname "$0")/.."
llama=""
torch=""
while [ $# -gt 0 ]; do
  case $1 in
    --llama-bench) llama=$2; shift 2 ;;
    --torch) torch=$2; shift 2 ;;
    *) break ;;
  esac
done
work=${1:-$(mktemp -d)}
PATH="$PWD/build/release/bin:$PATH"
[ -d "$work/model" ] || python3 bench/make_random_checkpoint.py "$work/model"
[ -d "$work/w8a8_dynamic" ] || slim-quant "$work/model" -o "$work/w8a8_dynamic" --type w8a8_dynamic --smooth none -q
[ -d "$work/w8a8" ] || slim-quant "$work/model" -o "$work/w8a8" --type w8a8 --smooth none --quantize-names '*.mlp.down_proj' -q
[ -d "$work/gguf" ] || slim-convert "$work/w8a8_dynamic" -o "$work/gguf" --to gguf --allow-loss -q
cat "$work"/*/*.safetensors "$work"/gguf/*.gguf >/dev/null
python3 bench/run_speed.py "$work" --rounds "${ROUNDS:-3}" ${llama:+--llama-bench "$llama"} ${torch:+--torch "$torch"}
[ $# -gt 0 ] || rm -rf "$work"
