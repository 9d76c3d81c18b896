# Experts: a group of its own for bisect, and limits on what both choose.
cp -r $TESTDATA/mixtures/qwen3-moe model
cp $TESTDATA/golden/models/mini-qwen2-float32/tokenizer* model/
slim-quant model -o w8a8 --type w8a8_dynamic --smooth none -q
slim-diff model w8a8 --prompts $TESTDATA/golden/calib.jsonl --metrics kl,routing --windows 1 --backend reference -q --bisect 4 --min-routing 0.999 || echo exit $?
