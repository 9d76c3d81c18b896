# A sparse checkpoint into two parts and back: the scales are F16 then, and come back byte for byte.
python3 "$ROOT/tests/sparse_checkpoint.py" in
slim-convert in -o parts --to mindie-parts --tp 2 || echo "exit $?"
slim-convert in -o parts --to mindie-parts --dtype fp16 || echo "exit $?"
slim-convert in -o parts --to mindie-parts --tp 3 --dtype fp16 || echo "exit $?"
slim-convert in -o parts --to mindie-parts --tp 2 --dtype fp16 || echo "exit $?"
slim-convert sparse_compressor --model_path in --save_directory parts --tp 2 --dtype fp16 --allow-loss
find parts -type f | sort
slim-convert parts -o half --to ascendv1-v0
slim-convert half -o again --to mindie-parts --tp 4
slim-convert again -o same --to ascendv1-v0
rm half/slim_receipt.json same/slim_receipt.json
diff -r half same && echo same
slim-convert parts -o out --to hf || echo "exit $?"
slim-convert in -o out --to hf || echo "exit $?"
rm -r parts/part1-of-2
slim-convert parts -o out --to ascendv1 || echo "exit $?"
