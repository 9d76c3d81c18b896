#!/bin/sh
# Data-free quantization against copying: time of slim-quant over that of cp --reflink=never and sync of the same input, peak
# memory against the largest tensor, and the time of slim-verify, on a random checkpoint of 0.5 billion parameters.
#   sh bench/data_free.sh [FOLDER]    FOLDER keeps the checkpoint between runs
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/build/release/bin:$PATH"
work=${1:-$(mktemp -d)}
[ -d "$work/model" ] || python3 bench/make_random_checkpoint.py "$work/model"
cat "$work/model/model.safetensors" >/dev/null
seconds() { # COMMAND...: wall seconds of the median of three runs
  for _ in 1 2 3; do
    rm -rf "$work/out"
    sync
    start=$(date +%s.%N)
    "$@" >/dev/null 2>&1
    end=$(date +%s.%N)
    echo "$end $start" | awk '{ printf "%.3f\n", $1 - $2 }'
  done | sort -n | sed -n 2p
}
copy() { cp -r --reflink=never "$work/model" "$work/out" && sync; }
ratio() { echo "$1 $2" | awk '{ printf "%.2f", $1 / $2 }'; }
base=$(seconds copy)
echo "cp --reflink=never + sync: $base s"
for type in w8a16 w8a8_dynamic; do
  time=$(seconds slim-quant "$work/model" -o "$work/out" --type $type --smooth none)
  rm -rf "$work/out"
  peak=$(python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' slim-quant "$work/model" -o "$work/out" --type $type --smooth none)
  echo "slim-quant $type: $time s, $(ratio "$time" "$base") x the copy, peak $peak MiB"
done
echo "slim-verify (headers): $(seconds slim-verify "$work/model") s on the float one"
slim-quant "$work/model" -o "$work/out.q" --type w8a16 --force -q
echo "slim-verify (headers): $(seconds slim-verify "$work/out.q") s on the quantized one"
[ $# -gt 0 ] || rm -rf "$work"
