slim-run $TESTDATA/models/tiny-llama --bench --bench-prompt 32 --bench-tokens 4 --bench-repeat 2 --threads 1
slim-run $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static --bench --bench-prompt 8 --bench-tokens 0 --bench-repeat 1 --bench-format csv --threads 2
slim-run $TESTDATA/models/tiny-llama --bench --bench-prompt 5000 --bench-tokens 0 --bench-repeat 1 --bench-format markdown --threads 1 --ctx 64
slim-run $TESTDATA/models/tiny-llama --bench --bench-prompt 4 --bench-tokens 2 --bench-repeat 1 --json --threads 1 | tr -d ' \n0123456789.'
echo
