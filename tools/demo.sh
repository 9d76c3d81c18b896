#!/bin/sh
# The main job on checkpoints that ship with the source: quantize, verify, convert there and back, compare with float, ask
# a question. Installs what is missing, builds once, and starts at once the second time.
#
#   sh tools/demo.sh [FOLDER]     FOLDER keeps the outputs; a temporary one is used and removed otherwise
set -eu
cd "$(dirname "$0")/.."
sh tools/packages.sh build

if [ ! -x build/release/bin/slim-run ] || [ -n "$(find libcommon tools cmake CMakeLists.txt -newer build/release/bin/slim-run -name '*.*' -print -quit)" ]; then
  echo "demo: building (some minutes the first time)"
  cmake --preset release >/dev/null
  cmake --build --preset release --target slim-quant slim-verify slim-convert slim-diff slim-run >/dev/null
fi
PATH="$PWD/build/release/bin:$PATH"
export PATH

if [ $# -gt 0 ]; then
  out=$1
  mkdir -p "$out"
else
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
models=$PWD/testdata/models
text=$PWD/testdata/golden/held-out-text.txt
calibration=$PWD/testdata/golden/calib.jsonl
question='Question: "What'"'"'s deep learning?"
Answer:'
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() {
  printf '$'
  printf ' %s' "$@" | sed "s|$models/||g; s|$out/||g; s|$text|held-out-text.txt|g; s|$calibration|calib.jsonl|g"
  printf '\n'
  "$@"
}

for model in tiny-llama tiny-qwen2; do
  say "$model: quantize to W8A8, verify"
  show slim-quant "$models/$model" -o "$out/$model-w8a8" --calib "$calibration" --force
  show slim-verify --deep "$out/$model-w8a8"

  say "$model: AscendV1 -> MindIE-exclusive -> AscendV1, the same bytes"
  show slim-convert "$out/$model-w8a8" -o "$out/$model-mindie" --to mindie --force
  show slim-verify "$out/$model-mindie"
  show slim-convert "$out/$model-mindie" -o "$out/$model-back" --to ascendv1 --force
  for file in "$out/$model-w8a8"/quant_model*; do cmp "$file" "$out/$model-back/$(basename "$file")"; done
  echo "cmp: weights, index and description are identical"

  say "$model: what did quantization cost? With smoothing, the default ..."
  show slim-diff "$models/$model" "$out/$model-w8a8" --prompts "$text" --windows 12 --tokens 256 --max-kl 0.01
  say "$model: ... and without it"
  slim-quant "$models/$model" -o "$out/$model-unsmoothed" --smooth none --calib "$calibration" --force --quiet
  show slim-diff "$models/$model" "$out/$model-unsmoothed" --prompts "$text" --windows 12 --tokens 256

  say "$model: ask it a question: float, W8A8, W8A8 without smoothing"
  for checkpoint in "$models/$model" "$out/$model-w8a8" "$out/$model-unsmoothed"; do
    printf '%s: ' "$(basename "$checkpoint")"
    slim-run "$checkpoint" -p "$question" -n 24
  done
  # tiny-llama's small vocabulary needs a few tokens more for the whole sentence.
  slim-run "$out/$model-w8a8" -p "$question" -n 32 --quiet \
    --expect "Deep learning is a subset of machine learning that uses artificial neural networks to learn from data" >/dev/null
  echo "slim-run --expect: the W8A8 checkpoint answers as the float one"
done
