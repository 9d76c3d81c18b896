slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out --w_bit 4 --a_bit 8 || echo "exit $?"
slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out --act_method 4 || echo "exit $?"
slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out --anti_method m9 || echo "exit $?"
for flags in "--do_smooth True" "--use_reduce_quant True" "--disable_level L5" "--disable_threshold 0.5" "--layer_count 2" "--pr 0.5" "--nonuniform True" \
  "--save_split_w8a8s_dir dir" "--calib_texts a" "--w_method NF"; do
  slim-quant --model_path $TESTDATA/models/tiny-qwen2 --save_directory out $flags || echo "exit $?"
done
slim-quant quant --model_path $TESTDATA/models/tiny-qwen2 --save_path out --quant_type w2a2 || echo "exit $?"
test ! -e out
