# Models with experts: how often both choose the same ones.
cp -r $TESTDATA/mixtures/qwen3-moe model
cp $TESTDATA/golden/models/mini-qwen2-float32/tokenizer* model/
slim-quant model -o w8a8 --calib $TESTDATA/golden/calib.jsonl -q
for second in model w8a8; do
  slim-diff model $second --prompts $TESTDATA/golden/calib.jsonl --metrics routing,top1 --windows 3 --backend reference -q
done
slim-diff model w8a8 --prompts $TESTDATA/golden/calib.jsonl --metrics routing --windows 3 --backend reference -q --format csv
