# Every preset that ships runs on a small model of its architecture, and what it writes verifies.
golden="$TESTDATA/golden/models"
calib="$TESTDATA/golden/calib.jsonl"
head -n 3 "$calib" > calib.jsonl
for mixture in qwen3-moe deepseek-v3; do
  cp -r "$TESTDATA/mixtures/$mixture" $mixture
  chmod -R u+w $mixture
  cp "$golden"/mini-qwen2-float32/tokenizer* $mixture/
done
for preset in "$ROOT"/presets/*.yaml; do
  name=$(basename "$preset" .yaml)
  case $name in
    llama-*|default-*|golden-stick-*) model="$TESTDATA/models/tiny-llama" ;;
    qwen3_moe-*) model=qwen3-moe ;;
    deepseek_v3-*) model=deepseek-v3 ;;
    qwen3-*) model="$golden/mini-qwen3-float16" ;;
    *) model="$golden/mini-qwen2-bfloat16" ;;
  esac
  dtype=
  case $name in *w8a8s) dtype="--dtype fp16" ;; esac
  slim-quant "$model" -o "$name" --preset "$name" --calib calib.jsonl --no-fsync -q $dtype || echo "$name: exit $?"
  slim-verify "$name" || echo "$name: verify exit $?"
done
