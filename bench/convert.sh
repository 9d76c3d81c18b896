#!/bin/sh
# slim-convert ascendv1 <-> mindie against copying: time over that of cp --reflink=never and sync of the same bytes (target:
# 1.25), and peak memory (target: twice the largest tensor and 200 MB). The commands take turns; medians of five.
#   sh bench/convert.sh [FOLDER]    FOLDER keeps the checkpoints between runs
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/build/release/bin:$PATH"
work=${1:-$(mktemp -d)}
[ -d "$work/model" ] || python3 bench/make_random_checkpoint.py "$work/model"
[ -d "$work/ascendv1" ] || slim-quant "$work/model" -o "$work/ascendv1" --type w8a8_dynamic --smooth none -q
[ -d "$work/mindie" ] || slim-convert "$work/ascendv1" -o "$work/mindie" --to mindie -q
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
copy() { cp -r --reflink=never "$work/ascendv1" "$work/out" && sync; }
median() { sort -n "$work/$1.s" | sed -n 3p; }
rm -f "$work"/*.s
for _ in 1 2 3 4 5; do
  once copy copy
  once mindie slim-convert "$work/ascendv1" -o "$work/out" --to mindie
  once ascendv1 slim-convert "$work/mindie" -o "$work/out" --to ascendv1
done
base=$(median copy)
echo "cp --reflink=never + sync: $base s"
for to in mindie ascendv1; do
  from=$([ $to = mindie ] && echo ascendv1 || echo mindie)
  rm -rf "$work/out"
  peak=$(python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' slim-convert "$work/$from" -o "$work/out" --to $to)
  ratio=$(echo "$(median $to) $base" | awk '{ printf "%.2f", $1 / $2 }')
  echo "$from to $to: $(median $to) s, $ratio x the copy, peak $peak MiB"
done
rm -rf "$work"/*.s "$work/out"
[ $# -gt 0 ] || rm -rf "$work"
