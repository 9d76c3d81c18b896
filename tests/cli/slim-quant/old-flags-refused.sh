slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out --w_bit 4 --a_bit 8 || echo "exit $?"
slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out --act_method 4 || echo "exit $?"
slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out --anti_method m9 || echo "exit $?"
slim-quant quant --model_path $TESTDATA/models/tiny-qwen2 --save_path out --quant_type w2a2 || echo "exit $?"
test ! -e out
