# testdata/golden/run/tiny-llama/perplexity.json
slim-run $TESTDATA/models/tiny-llama --ppl $TESTDATA/golden/held-out-text.txt --ppl-windows 12 --backend reference
slim-run $TESTDATA/models/tiny-llama --ppl - --ppl-window 16 --json --backend reference <$TESTDATA/golden/held-out-text.txt | grep -o '"windows".*'
