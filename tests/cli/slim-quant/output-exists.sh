model=$TESTDATA/golden/models/mini-qwen2-bfloat16
mkdir out
touch out/mine
slim-quant $model -o out --type w8a16 || echo "exit $?"
ls out
slim-quant $model -o out --type w8a16 --force -q
test ! -e out/mine
cp -r $model in
slim-quant in -o in --type w8a16 || echo "exit $?"
slim-quant in -o in/out --type w8a16 || echo "exit $?"
slim-quant in -o absent/out --type w8a16 || echo "exit $?"
diff -r $model in
