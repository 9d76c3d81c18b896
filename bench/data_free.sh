#!/bin/sh
# Data-free quantization against copying: time of slim-quant over that of cp --reflink=never and sync of the same input, peak
# memory against the largest tensor, and the time of slim-verify, on a random checkpoint of 0.5 billion parameters. The
# commands take turns, because what a write costs depends on what the machine did just before; medians of five.
#   sh bench/data_free.sh [FOLDER]    FOLDER keeps the checkpoint between runs
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/build/release/bin:$PATH"
work=${1:-$(mktemp -d)}
[ -d "$work/model" ] || python3 bench/make_random_checkpoint.py "$work/model"
cat "$work/model/model.safetensors" >/dev/null
once() { # NAME COMMAND...: appends the wall seconds of one run to $work/NAME.s
  name=$1
  shift
  rm -rf "$work/out"
  sync
  start=$(date +%s.%N)
  "$@" >/dev/null 2>&1
  end=$(date +%s.%N)
  echo "$end $start" | awk '{ printf "%.3f\n", $1 - $2 }' >>"$work/$name.s"
}
copy() { cp -r --reflink=never "$work/model" "$work/out" && sync; }
quant() { slim-quant "$work/model" -o "$work/out" --type "$1" --smooth none; }
median() { sort -n "$work/$1.s" | sed -n 3p; }
rm -f "$work"/*.s
for _ in 1 2 3 4 5; do
  once copy copy
  once w8a16 quant w8a16
  once w8a8_dynamic quant w8a8_dynamic
  once verify slim-verify "$work/model"
done
base=$(median copy)
echo "cp --reflink=never + sync: $base s"
for type in w8a16 w8a8_dynamic; do
  rm -rf "$work/out"
  peak=$(python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' slim-quant "$work/model" -o "$work/out" --type $type --smooth none)
  ratio=$(echo "$(median $type) $base" | awk '{ printf "%.2f", $1 / $2 }')
  echo "slim-quant $type: $(median $type) s, $ratio x the copy, peak $peak MiB"
done
echo "slim-verify (headers): $(median verify) s"
rm -rf "$work"/*.s "$work/out"
[ $# -gt 0 ] || rm -rf "$work"
