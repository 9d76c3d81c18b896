# The traditional writer on a CPU leaves int64 bits in a bfloat16 model: a warning, an error with --strict.
model=$TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8
slim-verify $model
slim-verify --strict --quiet $model || echo "exit $?"
