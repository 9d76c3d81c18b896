# One block at a time gives the bits of the whole model, experts or not.
for model in mixtures/deepseek-v3 golden/models/mini-qwen2-bfloat16; do
  mkdir model
  cp $TESTDATA/$model/* model/
  cp $TESTDATA/golden/models/mini-qwen2-float32/tokenizer* model/
  slim-run model -p 'It was the best of times' -n 6 --json -q --backend reference --logits whole >whole.txt
  slim-run model -p 'It was the best of times' -n 6 --json -q --backend reference --logits stream --stream >stream.txt
  cmp whole.txt stream.txt && cmp whole stream && echo same
  rm -r model whole stream
done
