# As a rule of a Makefile, flags before and after the operand.
cat >Makefile <<'EOF'
%.mindie: %
	slim-convert --to mindie -o $@ $< --no-fsync -q
%.ascendv1: %
	slim-convert --to ascendv1 -o $@ $<
EOF
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 model
make -s model.mindie
make -s model.mindie
ls model.mindie | head -3
make -s model.mindie.ascendv1 2>&1
make -s model.mindie.ascendv1
# A refusal leaves no target behind.
chmod u+w model/*
rm model/config.json
make -s model.ascendv1 2>&1 | head -1
ls -d model.ascendv1 2>/dev/null || echo no target
