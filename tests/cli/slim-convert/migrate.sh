# The migration script of the guides over a folder: converted, refused, there already.
mkdir old
cp -r "$TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8" old/exact
cp -r "$TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m4" old/smoothed
cp -r "$TESTDATA/golden/traditional/mini-qwen2-bfloat16/m0-w8a16" old/damaged
chmod -R u+w old
rm old/damaged/config.json
sh "$ROOT/man/guides/migrate-checkpoints.sh" old new || echo "exit $?"
sh "$ROOT/man/guides/migrate-checkpoints.sh" old new | head -n 2
ls new
