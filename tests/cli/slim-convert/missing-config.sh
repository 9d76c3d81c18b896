cp -r $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8 in
chmod u+w in
rm -f in/config.json
slim-convert in -o out --to mindie
