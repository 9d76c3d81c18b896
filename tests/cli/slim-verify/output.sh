# A report in a file, which is not replaced unasked.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
slim-verify -o report.txt model
cat report.txt
slim-verify -o report.txt model || echo "exit $?"
slim-verify -o report.txt --force model
slim-verify -o - model
