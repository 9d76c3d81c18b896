# A checkpoint is a directory: "-" must not become one by accident.
slim-convert $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static -o - --to mindie || echo "exit $?"
ls
