# Windows in batches give the figures of one pass.
float=$TESTDATA/models/tiny-qwen2
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 40 --metrics kl,ppl --json"
slim-quant "$float" -o w8a16 --type w8a16 -q
slim-diff "$float" w8a16 $small > whole.json
slim-diff "$float" w8a16 $small --max-memory 99000000 > batches.json
cmp whole.json batches.json
