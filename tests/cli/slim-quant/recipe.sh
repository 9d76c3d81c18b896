# msModelSlim's own recipes, unchanged: the data-free ones give its bytes, whichever way they are named.
one() { sed -n 's/.*"xxh3_128": //p; s/.*"path"/path/p' $1/slim_receipt.json | tail -n 1; }
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
for recipe in w8a16 w8a8-dynamic; do
  slim-quant $M -o $recipe --recipe $TESTDATA/golden/recipes/$recipe.yaml --compute model
  cmp $recipe/quant_model_weights-00001-of-00001.safetensors $TESTDATA/golden/one-click/mini-qwen2-bfloat16/$recipe/quant_model_weights-00001-of-00001.safetensors && echo "$recipe: the same bytes"
done
slim-quant quant --model_path $M --save_path again --config_path $TESTDATA/golden/recipes/w8a8-dynamic.yaml --device npu
slim-verify -q again
# A dataset beside the recipe is found; --calib takes its place.
cp $TESTDATA/golden/recipes/w8a8-static.yaml r.yaml
cp $TESTDATA/golden/calib.jsonl CALIB
slim-quant $M -o static --recipe r.yaml
slim-quant $M -o static2 --recipe r.yaml --calib $TESTDATA/golden/calib.jsonl
grep -A1 '"calibration"' static2/slim_receipt.json
