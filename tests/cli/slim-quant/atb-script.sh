# generate_quant_weight.sh of source document S000 with the program's name changed.
slim-quant -src $TESTDATA/models/tiny-llama -dst out -type llama2_13b_w8a8 --calib $TESTDATA/golden/calib.jsonl
ls out
grep quantize out/config.json
slim-quant -src $TESTDATA/models/tiny-llama -dst out2 -type llama2_13b || echo "exit $?"
slim-verify -q out
