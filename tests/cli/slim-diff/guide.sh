# Every command of the guide runs, and the gate passes.
cp -r $TESTDATA/models/tiny-qwen2 float
head -c 500 $TESTDATA/golden/held-out-text.txt > text.txt
slim-quant float -o w8a8 --type w8a8 --calib $TESTDATA/golden/calib.jsonl -q
grep '^    slim-' $ROOT/man/guides/diff.md | sed 's/^ *//' > commands
while read -r command; do
  echo "$command"
  eval "$command -q" > out
done < commands
