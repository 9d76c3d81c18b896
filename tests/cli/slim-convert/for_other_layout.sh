# The layout that was asked for is not one that the loader reads: the hint is another than for labels that are missing.
slim-convert $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static -o out --to mindie --for vllm-ascend || echo "exit $?"
ls
slim-convert $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static -o out --to ascendv1 --for vllm-ascend -q
