float=$TESTDATA/golden/models/mini-qwen2-bfloat16
slim-diff "$float" "$float" --weights
