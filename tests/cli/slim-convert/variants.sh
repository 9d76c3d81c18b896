# The distributed writer's description (sorted keys, two spaces) and the diffusion writer's mindie files are the dialects they belong to.
one=$TESTDATA/golden/one-click/mini-qwen2-bfloat16
cp -r $one/w8a8-static sorted && chmod -R u+w sorted
python3 - <<'P'
import json
path = "sorted/quant_model_description.json"
json.dump(json.load(open(path)), open(path, "w"), indent=2, sort_keys=True)
P
for source in sorted $one/w8a8-static; do slim-convert $source -o $(basename $source)-m --to mindie -q --no-fsync; done
cmp sorted-m/quant_model_weight_w8a8.safetensors w8a8-static-m/quant_model_weight_w8a8.safetensors && echo "same weights"
slim-convert $one/mindie-w8a8-static -o v1 --to ascendv1 -q --no-fsync
cmp v1/quant_model_weights-00001-of-00001.safetensors $one/w8a8-static/quant_model_weights-00001-of-00001.safetensors && echo "same weights"
cmp v1/quant_model_description.json $one/w8a8-static/quant_model_description.json && echo "same description"
# A float16 model of that writer has deq_scale as values, which loaders misread.
half=$TESTDATA/golden/one-click/mini-qwen3-float16/mindie-w8a8-static
slim-verify --for mindie $half > findings.txt || echo "exit $?"
grep -c LD-deq-flavour findings.txt
slim-convert $half -o half --for mindie -q --no-fsync
slim-verify --deep --for mindie half | tail -1
# Side files: the chat template and the tokenizer travel, code and unknown files are named.
cp -r $one/w8a16 extras && chmod -R u+w extras
touch extras/modeling_own.py extras/notes.xyz && echo '{{ messages }}' > extras/chat_template.jinja
for to in mindie golden-stick hf; do
  slim-convert extras -o side-$to --to $to --no-fsync $(test $to = hf && echo --dequantize) 2>&1 | grep -v wrote
  ls side-$to | tr '\n' ' ' && echo
done
