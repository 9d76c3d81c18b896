# Sound checkpoints of the four dialects, and one file as a container: one line each.
cd $TESTDATA
slim-verify golden/models/mini-qwen2-bfloat16 golden/one-click/mini-qwen2-bfloat16/w8a8-static \
  golden/traditional/mini-qwen2-bfloat16/a0-w8a8-dynamic golden/traditional/mini-qwen2-bfloat16/m0-w8a16 \
  golden/models/mini-qwen2-bfloat16/model.safetensors
