# The traditional command of source document S004, and what --mindie_format and --anti_method make of it.
slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out --calib_file $TESTDATA/golden/calib.jsonl --w_bit 8 --a_bit 8 --device_type npu --trust_remote_code True
ls out | grep quant_model
slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out2 --calib_file $TESTDATA/golden/calib.jsonl --w_bit 8 --a_bit 8 --act_method 1 --anti_method m2 --disable_names model.layers.0.mlp.down_proj model.layers.1.mlp.down_proj --mindie_format
ls out2 | grep quant_model
grep quantize out2/config.json
grep -c '"model.layers.0.mlp.down_proj.weight": "FLOAT"' out2/quant_model_description_w8a8.json
grep -c '"model.layers.2.mlp.down_proj.weight": "W8A8"' out2/quant_model_description_w8a8.json
slim-verify -q out out2
# What has one meaning here is taken with it; --rot is a rotation.
slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out3 --calib_dataset $TESTDATA/golden/calib.jsonl --rot True --pr 1.0 --nonuniform False --layer_count 0 --mm_tensor True --do_smooth False --disable_threshold 0 --torch_dtype bfloat16
cmp -s out/quant_model_weight_w8a8.safetensors out3/quant_model_weight_w8a8.safetensors || echo "rotated"
slim-verify -q out3
# The layers that stay float follow from the family of models, as in its script.
plan() { slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory plan --calib_file $TESTDATA/golden/calib.jsonl --dry-run --json "$@" >plan.json || echo "exit $?"; }
plan --model_type llama3
for flags in "--model_type llama2" "--model_type llama2 --a_bit 16"; do
  plan $flags
  python3 -c 'import json; print(sum(1 for linear in json.load(open("plan.json"))["linears"] if linear["type"] == "FLOAT"))'
done
