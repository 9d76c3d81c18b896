# The one-click command of source document S004 with the program's name changed.
export MODEL_PATH=$TESTDATA/models/tiny-qwen2 SAVE_PATH=out
slim-quant quant --model_path ${MODEL_PATH} --save_path ${SAVE_PATH} --device npu:0,1 --model_type Qwen2.5-7B-Instruct --quant_type w8a8 --trust_remote_code True
slim-verify -q out
