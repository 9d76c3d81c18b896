# What loaders would do with a sound checkpoint, and with one whose dtype was edited.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static-all model
chmod 644 model/*
slim-verify --deep --for vllm-ascend,mindie,mindie-atb model
slim-verify --for sglang --chip A2 --tp 2 model
sed -i 's/"torch_dtype": "bfloat16"/"torch_dtype": "float16"/' model/config.json
slim-verify --for vllm-ascend@0.18.0rc1 model || echo "exit $?"
