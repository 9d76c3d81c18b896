# Layers of a smoothed checkpoint: local errors do not see the smoothing; accumulated ones grow.
float=$TESTDATA/models/tiny-qwen2
slim-quant "$float" -o w8a8 --type w8a8 --calib $TESTDATA/golden/calib.jsonl -q
slim-diff "$float" w8a8 --prompts $TESTDATA/golden/held-out-text.txt --windows 1 --tokens 64 --layers --metrics kl --backend reference
