# A seed decides the text, whatever the number of threads.
for threads in 1 2; do
  slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 12 --temperature 1.5 --top-k 40 --top-p 0.9 --seed 3 --backend reference --threads $threads >a.$threads
done
cmp a.1 a.2
slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 12 --temperature 1.5 --top-k 40 --top-p 0.9 --seed 4 --backend reference >b
if cmp -s a.1 b; then echo "another seed, the same text"; fi
slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 12 --temperature 1.5 --top-k 1 >c
slim-run $TESTDATA/models/tiny-llama -p "In the beginning" -n 12 | cmp - c
