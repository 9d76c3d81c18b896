float=$TESTDATA/golden/models/mini-qwen2-bfloat16
small="--prompts $TESTDATA/golden/held-out-text.txt --tokens 32 --windows 2"
echo mine > report.txt
slim-diff "$float" "$float" $small -o report.txt && exit 9
echo "exit $?"
cat report.txt
slim-diff "$float" "$float" $small --metrics rmse -o report.txt --force
grep RMSE report.txt
