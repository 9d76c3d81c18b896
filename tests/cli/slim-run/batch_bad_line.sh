printf '{"prompt": "In the beginning"}\n{"prompt": 5}\n' | slim-run $TESTDATA/models/tiny-llama - -n 3
