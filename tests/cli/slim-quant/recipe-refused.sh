# What a recipe gets wrong is named with file, line and key.
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
R=$TESTDATA/golden/recipes/w8a8-smooth-static.yaml
try() { slim-quant $M -o out --recipe r.yaml "$@" || echo "exit $?"; }
sed 's/alpha:/alhpa:/' $R >r.yaml; try
sed 's/iter_smooth/iter_smoth/' $R >r.yaml; try
sed 's/method: minmax/method: kl/' $R >r.yaml; try
sed 's/process:/proces:/' $R >r.yaml; try
sed 's/ascendv1_saver/my_saver/' $R >r.yaml; try
sed 's/modelslim_v1/multimodal_sd_modelslim_v1/' $R >r.yaml; try
sed 's/spec:/spec: [/' $R >r.yaml; try
sed 's|CALIB|texts/none.jsonl|' $R >r.yaml; try
printf 'a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n' >r.yaml; try
: >r.yaml; try
rm r.yaml; try
cp $R r.yaml; try --type w8a16
try --preset llama-w8a8
slim-quant $M -o out --preset lama-w8a8 || echo "exit $?"
test ! -e out
sed 's/\*down_proj\*/*down_prj*/' $R >r.yaml; try --calib $TESTDATA/golden/calib.jsonl
sed "s/enable_subgraph_type: .*/include: ['*input_norm']/" $R >r.yaml; try --calib $TESTDATA/golden/calib.jsonl
slim-quant quant --model_path $M --save_path out --config_path r.yaml || echo "exit $?"
