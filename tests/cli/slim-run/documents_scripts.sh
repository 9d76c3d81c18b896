# The README's one-liners for the scripts of the Ascend documents, on a tiny model in their place.
cp -r $TESTDATA/models/tiny-llama Qwen3-8B-A8W8
cp -r $TESTDATA/models/tiny-qwen2 Qwen2.5-7B-w8a8
cp -r $TESTDATA/models/tiny-llama llama2-13b-w8a8
sed -n '/^### The documents/,/^### An endpoint/p' $ROOT/README.md | sed -n 's/^    //p' >lines
grep -c slim-run lines
sh -eu ./lines
