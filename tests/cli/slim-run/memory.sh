# Weights that do not fit are told before loading; block by block they do. W8A16 is float32 in memory for the fast backend.
model=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
slim-run $TESTDATA/models/tiny-llama -p x -n 1 --max-memory 1MiB || echo exit $?
slim-run $TESTDATA/models/tiny-llama -p x -n 1 --max-memory 1MiB --stream
slim-run $model/w8a16 --bench --max-memory 100KiB || echo exit $?
slim-run $model/w8a16 --bench --max-memory 100KiB --backend reference || echo exit $?
