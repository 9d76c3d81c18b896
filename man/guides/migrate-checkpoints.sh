#!/bin/sh
# Moves a folder of old checkpoints to ascendv1, one after the other, and reports on each.
#
#   migrate-checkpoints.sh OLD NEW [options of slim-convert, such as --dtype bf16 --allow-loss]
#
# Each directory OLD/NAME becomes NEW/NAME. What is there already is left alone, so the script may
# be stopped and started again. NEW/report.tsv has a line a checkpoint: name, result, loss class or
# the reason of the refusal. Exit status 1 when a checkpoint was refused.
set -u
old=${1:?usage: migrate-checkpoints.sh OLD NEW [options of slim-convert]}
new=${2:?usage: migrate-checkpoints.sh OLD NEW [options of slim-convert]}
shift 2
mkdir -p "$new"
report=$new/report.tsv
printf 'checkpoint\tresult\tdetail\n' >"$report"
status=0
for source in "$old"/*/; do
  name=$(basename "$source")
  if [ -d "$new/$name" ]; then
    printf '%s\tkept\tthere already\n' "$name" >>"$report"
  elif message=$(slim-convert "$source" -o "$new/$name" --to ascendv1 "$@" 2>&1); then
    loss=$(sed -n 's/^  "loss_class": "\(.*\)",$/\1/p' "$new/$name/slim_receipt.json")
    printf '%s\tconverted\t%s\n' "$name" "$loss" >>"$report"
  else
    printf '%s\trefused\t%s\n' "$name" "$(printf '%s\n' "$message" | tail -n 1)" >>"$report"
    status=1
  fi
done
cat "$report"
exit $status
