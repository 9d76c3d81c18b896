printf '{"prompt": "In the beginning"}\n{"prompt": "x\n' >prompts.jsonl
slim-run $TESTDATA/models/tiny-llama -f prompts.jsonl -n 3
