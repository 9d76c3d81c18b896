#!/bin/sh
# slim-quant against msModelSlim: the same model, the same recipes, the same processors, in turns. Data-free types on a bf16
# checkpoint (wanted: 20 times as fast as msModelSlim, and at most 1.5 times cp --reflink=never + sync of the input), calibrated
# iter_smooth and w8a8 on an fp32 one (wanted: 8 times as fast). Wall seconds, medians of ROUNDS, with the seconds of processor
# time, which say more on a busy machine.
#   sh bench/quant.sh [FOLDER [PYTHON [ROUNDS]]]    FOLDER keeps the checkpoints; PYTHON: an interpreter that has msmodelslim (python3)
#   LAYERS, HIDDEN, VOCAB from the environment: another shape than that of 0.5 billion parameters
# The file system of FOLDER decides what is measured: data-free runs move 1.9 GB, so that on a disk both sides wait for it (seen on a
# virtual disk: 6.6 to 7.7 times as fast at 0.8 x cp + sync), and the work itself shows in memory (/dev/shm; seen with 2 processors:
# 0.9 s, where msModelSlim takes 22.4 s). Calibrated runs write while they compute: the last flush took 10 ms on that disk.
set -eu
cd "$(dirname "$0")/.."
work=${1:-$(mktemp -d)}
python=${2:-python3}
rounds=${3:-3}
. bench/common.sh
for dtype in bf16 fp32; do
  [ -d "$work/$dtype" ] || python3 bench/make_random_checkpoint.py "$work/$dtype" --dtype $dtype --slow-tokenizer \
    --layers "${LAYERS:-24}" --hidden "${HIDDEN:-896}" --vocab "${VOCAB:-151936}"
done
peer=yes
"$python" -c 'import msmodelslim' >/dev/null 2>&1 || peer=no
[ $peer = yes ] || echo "not found: msmodelslim in $python; slim-quant is timed against cp only"

recipe() { # NAME ACTIVATIONS EXCLUDED SMOOTHING: a recipe that both sides read
  cat >"$work/$1.yaml" <<YAML
apiversion: modelslim_v1
metadata: {config_id: $1, score: 50, verified_model_types: [], label: {w_bit: 8, a_bit: 8, is_sparse: false, kv_cache: false}}
spec:
  runner: model_wise
  process:
$4
    - type: linear_quant
      qconfig:
        ${2:+act: $2}
        weight: {scope: per_channel, dtype: int8, symmetric: true, method: minmax}
      include: ["*"]
      exclude: [$3]
  save:
    - {type: ascendv1_saver, part_file_size: 4}
  dataset: $PWD/testdata/golden/calib.jsonl
YAML
}
recipe w8a16 '' '' ''
recipe w8a8-dynamic '{scope: per_token, dtype: int8, symmetric: true, method: minmax}' '' ''
recipe w8a8-iter-smooth '{scope: per_tensor, dtype: int8, symmetric: false, method: minmax}' '"*down_proj*"' \
  '    - {type: iter_smooth, alpha: 0.9, symmetric: true, enable_subgraph_type: [norm-linear]}'
ours() { slim-quant "$work/$2" -o "$work/out" --recipe "$work/$1.yaml"; }
theirs() { (cd "$work" && "$python" -m msmodelslim.cli quant --model_path "$work/$2" --save_path "$work/out" --model_type default \
  --device cpu --config_path "$work/$1.yaml" --trust_remote_code False </dev/null); }
timed() { # NAME COMMAND...: wall seconds as in common.sh, and those of the processors
  name=$1
  shift
  times >"$work/before.times"
  once "$name" "$@"
  times >"$work/after.times"
  echo "$(sed -n 2p "$work/before.times") $(sed -n 2p "$work/after.times")" | sed 's/[ms]/ /g' | awk '{ printf "%.2f\n", ($5 - $1) * 60 + $6 - $2 + ($7 - $3) * 60 + $8 - $4 }' >>"$work/$name.cpu"
}
processor() { sort -n "$work/$1.cpu" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
rm -f "$work"/*.s "$work"/*.cpu
for _ in $(seq "$rounds"); do
  for case in w8a16:bf16 w8a8-dynamic:bf16 w8a8-iter-smooth:fp32; do
    timed "copy-${case#*:}" copy "${case#*:}"
    timed "${case%:*}-slim" ours "${case%:*}" "${case#*:}"
    [ $peer = no ] || timed "${case%:*}-msmodelslim" theirs "${case%:*}" "${case#*:}"
  done
done
for case in w8a16:bf16 w8a8-dynamic:bf16 w8a8-iter-smooth:fp32; do
  name=${case%:*}
  [ -e "$work/out" ] || echo "no output: $name"
  echo "$(median "$name-slim") $(processor "$name-slim") $(median "copy-${case#*:}")" | awk -v name="$name" \
    '{ printf "%s: slim-quant %.2f s (%.2f s of processors), %.2f x cp + sync\n", name, $1, $2, $1 / $3 }'
  [ $peer = yes ] || continue
  echo "$(median "$name-msmodelslim") $(processor "$name-msmodelslim") $(median "$name-slim") $(processor "$name-slim")" | awk -v name="$name" \
    '{ printf "%s: msModelSlim %.2f s (%.2f s of processors), %.1f times that of slim-quant (%.1f by processor time)\n", name, $1, $2, $1 / $3, $2 / $4 }'
done
uptime
rm -rf "$work"/*.s "$work"/*.cpu "$work"/*.times "$work"/*.yaml "$work/out"
[ $# -gt 0 ] || rm -rf "$work"
