float=$TESTDATA/golden/models/mini-qwen2-bfloat16
slim-diff "$float" "$float" --prompts $TESTDATA/golden/held-out-text.txt --max-memory 1MB
