#!/bin/sh
# Peak memory of calibrated runs on models of the same width with 12 and with 48 blocks, against what slim-quant said it would
# need (--max-memory refuses less) and against embeddings + 2 blocks + activations of the calibration text.
#   sh bench/calibrated_memory.sh [FOLDER] [HIDDEN] [VOCAB]   FOLDER keeps the checkpoints between runs; HIDDEN: 448, 896 (default),
#   VOCAB: 151936 (default: with 896 the shape of 0.5 billion parameters), 8192 shows what does not hide behind the embeddings
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/build/release/bin:$PATH"
work=${1:-$(mktemp -d)}
hidden=${2:-896}
vocab=${3:-151936}
calib=testdata/golden/calib.jsonl
for layers in 12 48; do
  [ -d "$work/$layers" ] ||
    python3 bench/make_random_checkpoint.py "$work/$layers" --layers $layers --hidden "$hidden" --vocab "$vocab"
done
for flags in "--type w8a8" "--type w8a8 --propagate quantized" "--type w4a8c8 --smooth iter" "--type w8a8 --weight-method gptq"; do
  for layers in 12 48; do
    rm -rf "$work/out"
    # shellcheck disable=SC2086
    python3 - "$hidden" "$vocab" slim-quant "$work/$layers" -o "$work/out" --calib $calib --no-fsync $flags <<'PYTHON'
import re, resource, subprocess, sys
hidden, vocab, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
said = subprocess.run([*command, "--max-memory", "1"], stderr=subprocess.PIPE, text=True, check=False).stderr
said = re.search(r"needs ([0-9.]+) MiB", said).group(1)
run = subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
tokens = int(re.search(r'"tokens": (\d+)', run.stdout).group(1))
inner, kv = hidden * 38 // 7, hidden // 7
block = 2 * (2 * hidden * hidden + 2 * kv * hidden + 3 * inner * hidden) / 2**20
embeddings = 2 * vocab * hidden / 2**20
activations = 4 * tokens * hidden / 2**20
bound = embeddings + 2 * block + activations
layers = command[1].rsplit("/", 1)[1]
print(f"{layers:>2} blocks, {' '.join(command[7:])}: peak {peak:.0f} MiB, foreseen {said} MiB; embeddings {embeddings:.0f} + 2 blocks "
      f"{2 * block:.0f} + activations {activations:.1f} = {bound:.0f} MiB")
PYTHON
  done
done
rm -rf "$work/out"
[ $# -gt 0 ] || rm -rf "$work"
