# Values that do not fit need a permission; the receipt then says how much was lost.
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m4 -o out --to mindie --dtype bf16 || echo "exit $?"
test ! -e out
slim-convert $TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m4 -o out --to mindie --dtype bf16 --allow-loss
sed -n '/loss_class/,/}/p' out/slim_receipt.json
