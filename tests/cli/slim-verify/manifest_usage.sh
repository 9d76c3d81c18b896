# What contradicts itself.
model=$TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16
for flags in "--manifest verify" "--manifest check --deep" "--sha256" "--manifest check --list" "--manifest write -o out" \
  "--manifest check --manifest-file sums $model"; do
  slim-verify $flags $model || echo "exit $?"
done
