# Every metric ranks; what it prints goes into a recipe; bad input is refused.
M=$TESTDATA/models/tiny-qwen2
for metric in kurtosis std quantile mse; do slim-quant analyze $M --metric $metric --topk 2 --calib $TESTDATA/golden/calib.jsonl; done
slim-quant analyze $M --pattern '*mlp.down_proj' --topk 1 --calib $TESTDATA/golden/calib.jsonl | tail -n 1 | sed "s/.*'\\(.*\\)'/\\1/" >name
slim-quant $M --dry-run --disable-names $(cat name) | grep -c down_proj
slim-quant analyze $M --pattern nothing --calib $TESTDATA/golden/calib.jsonl || echo "exit $?"
slim-quant analyze || echo "exit $?"
slim-quant analyze $M --metric entropy || echo "exit $?"
