# Dumps are the same for any number of threads; both formats hold the same numbers.
model=$TESTDATA/models/tiny-llama
slim-run $model -p Hello -n 2 --dump-layers one --backend reference --threads 1
slim-run $model -p Hello -n 2 --dump-layers two --backend reference --threads 4
diff -r one two && echo same
ls one one/0
slim-run $model -p Hello -n 1 --dump-layers msit --dump-format msit --backend reference
(cd msit/msit_dump/torch_tensors/cpu_0 && find . | LC_ALL=C sort | head -12 && head -n 12 model_tree.json && sha256sum 0/root.lm_head/output.pth)
slim-run $model -p Hello --dump-layers one || echo exit $?
slim-run $model -p Hello -n 0 --dump-layers one --force && ls one
echo '{"prompt": "x"}' | slim-run $model - --dump-layers three || echo exit $?
