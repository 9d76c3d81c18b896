slim-run $TESTDATA/golden/models/mini-qwen2-float32 --chat -p hello
