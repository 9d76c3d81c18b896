# A torch_dtype that no loader knows.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static model
sed -i 's/"bfloat16"/"int3"/' model/config.json
slim-verify model
