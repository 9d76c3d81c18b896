slim-run $TESTDATA/models/tiny-qwen2 -p ""
