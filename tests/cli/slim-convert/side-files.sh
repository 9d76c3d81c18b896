# Known side files travel, code and unknown ones on request; links out of the folder are not followed by name.
cp -r $TESTDATA/golden/traditional/mini-qwen2-bfloat16/a0-w8a8 in
chmod -R u+w in
echo x >in/modeling_mine.py
echo x >in/README.md
echo x >in/notes.dat
mkdir in/figures
slim-convert in -o out --to ascendv1
ls out
slim-convert in -o all --to ascendv1 --keep-extra -q
ls all
