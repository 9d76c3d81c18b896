# "c8" behind a type is --kv-cache c8.
M=$TESTDATA/golden/models/mini-qwen2-float32
C=$TESTDATA/golden/calib.jsonl
slim-quant $M -o joined --type w8a8c8 --calib $C -q
slim-quant $M -o apart --type w8a8 --kv-cache c8 --calib $C -q
diff -r joined apart && slim-verify joined
slim-quant $M -o bare --type c8 --calib $C || echo "exit $?"
