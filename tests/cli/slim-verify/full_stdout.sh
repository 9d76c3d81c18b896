slim-verify $TESTDATA/golden/models/mini-qwen2-bfloat16 >/dev/full
