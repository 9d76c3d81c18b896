# As a rule of a Makefile, flags before and after the operand.
cat >Makefile <<'EOF'
%.mindie: %
	slim-convert --to mindie -o $@ $< --no-fsync -q
EOF
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 model
make -s model.mindie
make -s model.mindie
ls model.mindie | head -3
