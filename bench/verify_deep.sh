#!/bin/sh
# How fast slim-verify reads every byte, against two xxhsum -H2 side by side over the same files, page cache warm: --deep and
# --manifest of a static W8A8 checkpoint of 0.5 billion parameters in shards, and headers only of a layout with 90 000 tensors
# in 160 shards. The commands take turns; the fastest of ROUNDS counts. Two processors; needs the package xxhash.
#   sh bench/verify_deep.sh [FOLDER [ROUNDS]]    FOLDER keeps the checkpoints between runs
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/build/release/bin:$PATH"
work=${1:-$(mktemp -d)}
rounds=${2:-7}
if [ ! -d "$work/model" ]; then
  python3 bench/make_random_checkpoint.py "$work/float"
  slim-quant "$work/float" -o "$work/model" --type w8a8 --smooth none --calib testdata/golden/calib.jsonl --part-size 60MB --quiet
  rm -r "$work/float"
fi
[ -d "$work/large" ] || python3 bench/make_sparse_checkpoint.py "$work/large"
cat "$work"/model/* >/dev/null
once() { # NAME COMMAND...: appends the wall seconds of one run to $work/NAME.s
  name=$1
  shift
  start=$(date +%s.%N)
  "$@" >/dev/null
  end=$(date +%s.%N)
  echo "$end $start" | awk '{ printf "%.3f\n", $1 - $2 }' >>"$work/$name.s"
}
sums() { find "$work/model" -type f -print0 | xargs -0 -P 2 -n 1 xxhsum -H2 >/dev/null 2>&1; }
manifest() { slim-verify --quiet --threads 2 --manifest write --manifest-file "$work/manifest.json" --force "$work/model"; }
check() { slim-verify --quiet --threads 2 --manifest check --manifest-file "$work/manifest.json" "$work/model"; }
deep() { slim-verify --quiet --threads 2 --deep "$work/model"; }
headers() { slim-verify --quiet --threads 2 "$work/large"; }
fastest() { sort -n "$work/$1.s" | sed -n 1p; }
rm -f "$work"/*.s
for _ in $(seq "$rounds"); do
  once xxhsum sums
  once write manifest
  once check check
  once deep deep
  once headers headers
done
bytes=$(du -sbL "$work/model" | cut -f 1)
for name in xxhsum write check deep; do
  echo "$name $bytes $(fastest "$name") $(fastest xxhsum)" |
    awk '{ printf "%-8s %6.3f s %6.2f GB/s %5.2f of xxhsum\n", $1, $3, $2 / $3 / 1e9, $4 / $3 }'
done
peak=$(/usr/bin/time -f %M slim-verify --quiet --threads 2 "$work/large" 2>&1 >/dev/null)
echo "headers  $(fastest headers) s for 90 000 tensors in 160 shards, $peak KiB"
