# --for repairs what the loader would refuse: asymmetric W8A16, whose offset vllm-ascend adds, and back for MindIE.
asymmetric=$TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a16-asym
slim-verify --deep --for vllm-ascend $asymmetric | tail -1 || echo "exit $?"
slim-convert $asymmetric -o vllm --for vllm-ascend
slim-verify --deep --for vllm-ascend vllm | tail -1
grep weight_offset_added vllm/quant_model_description.json
slim-verify --deep --for mindie-atb vllm | grep -c LD-offset || true
slim-convert vllm -o atb --to mindie --for mindie-atb -q
slim-convert vllm -o plain --to mindie -q
cmp atb/quant_model_weight_w8a16.safetensors $asymmetric/quant_model_weight_w8a16.safetensors && echo "offsets as they were"
cmp plain/quant_model_weight_w8a16.safetensors $asymmetric/quant_model_weight_w8a16.safetensors || true
# A broken copy: the plan lists the repairs, the output is clean.
static=$TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-static-all
cp -r $static broken && chmod -R u+w broken
sed -i 's/"model_quant_type": "W8A8"/"model_quant_type": "FLOAT"/; /embed_tokens.weight/d; s/"lm_head.weight": "FLOAT"/"lm_head.weight": "float"/' broken/quant_model_description.json
sed -i 's/"torch_dtype"/"dtype"/' broken/config.json
slim-convert broken --for mindie-atb --plan | sed -n '/^repairs/,/^files/p'
slim-convert broken -o mended --for mindie-atb
slim-verify --deep --for mindie-atb mended | tail -1
# What is gone stays gone, and nothing is written.
sed -i '/o_proj.deq_scale/d' broken/quant_model_description.json
slim-convert $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic -o refused --for vllm-mindspore || echo "exit $?"
slim-convert broken -o refused --for no-such-loader || echo "exit $?"
test ! -e refused
