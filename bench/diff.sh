#!/bin/sh
# slim-diff of a float checkpoint against W8A8 over 16 windows of 512 tokens, against two runs of slim-run --ppl over the same
# text: wall time, their ratio (wanted: at most 1.15) and peak memory, on a random checkpoint of 0.5 billion parameters. The
# commands take turns; medians of ROUNDS (3).
#   sh bench/diff.sh [FOLDER]    FOLDER keeps the checkpoints between runs; ROUNDS, WINDOWS and TOKENS are taken from the environment
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/build/release/bin:$PATH"
work=${1:-$(mktemp -d)}
rounds=${ROUNDS:-3}
windows=${WINDOWS:-16}
tokens=${TOKENS:-512}
[ -d "$work/model" ] || python3 bench/make_random_checkpoint.py "$work/model"
[ -d "$work/w8a8" ] || slim-quant "$work/model" -o "$work/w8a8" --type w8a8_dynamic --smooth none -q
# One text for both: one long prompt, so that the windows are the same.
cat testdata/golden/held-out-text.txt >"$work/text.txt"
cat "$work"/model/*.safetensors "$work"/w8a8/*.safetensors >/dev/null
timed() { # NAME COMMAND...: appends wall seconds and peak MiB of one run to $work/NAME.t
  name=$1
  shift
  python3 -c '
import resource, subprocess, sys, time
start = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(f"{time.monotonic() - start:.2f} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024}")' "$@" >>"$work/$name.t"
}
median() { sort -n "$work/$1.t" | awk -v column="$2" '{ value[NR] = $column } END { print value[int((NR + 1) / 2)] }'; }
rm -f "$work"/*.t
round=0
while [ "$round" -lt "$rounds" ]; do
  round=$((round + 1))
  timed first slim-run "$work/model" --ppl "$work/text.txt" --ppl-window "$tokens" --ppl-windows "$windows"
  timed second slim-run "$work/w8a8" --ppl "$work/text.txt" --ppl-window "$tokens" --ppl-windows "$windows"
  timed diff slim-diff "$work/model" "$work/w8a8" --prompts "$work/text.txt" --tokens "$tokens" --windows "$windows"
done
for name in first second diff; do echo "$name: $(median $name 1) s, peak $(median $name 2) MiB"; done
echo "$(median diff 1) $(median first 1) $(median second 1)" |
  awk '{ printf "slim-diff is %.2f x the two runs of slim-run --ppl\n", $1 / ($2 + $3) }'
rm -f "$work"/*.t "$work/text.txt"
[ $# -gt 0 ] || rm -rf "$work"
