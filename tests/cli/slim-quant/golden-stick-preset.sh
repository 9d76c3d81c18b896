# Source document S002: SmoothQuant W8A8 with down_proj per token, calibrated from a C-Eval folder.
mkdir -p ceval/dev ceval/test ceval/val
printf 'id,question,A,B,C,D,answer,explanation\n0,"The first letter, of ""abc""?",a,b,c,d,A,\n' >ceval/dev/law_dev.csv
printf 'id,question,A,B,C,D,answer,explanation\n0,What is 1+1?,1,2,3,4,B,\n1,What is 2+2?,1,2,3,4,D,\n' >ceval/dev/mathematics_dev.csv
slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o out --preset golden-stick-w8a8
grep -c 'down_proj.weight": "W8A8_DYNAMIC"' out/quant_model_description.json
grep -c 'q_proj.weight": "W8A8"' out/quant_model_description.json
grep 'lm_head' out/quant_model_description.json
slim-verify -q out
# Named by hand, too; a folder that is none of C-Eval's is refused.
slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o other --calib ceval -q
rm -r ceval/dev ceval/test ceval/val
slim-quant $TESTDATA/golden/models/mini-qwen2-bfloat16 -o third --calib ceval || echo "exit $?"
