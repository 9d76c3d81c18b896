# Parts made apart and joined are the bytes of one run; the parts' order does not matter.
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
slim-quant $M -o whole --type w8a16 -q
for i in 1 2 3; do slim-quant $M -o part$i --type w8a16 --shard $i/3; done
slim-quant merge joined part3 part1 part2
diff -r whole joined && echo "the same bytes"
slim-verify -q joined
