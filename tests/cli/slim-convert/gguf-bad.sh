slim-convert $TESTDATA/models/tiny-qwen3 -o g --to gguf -q
try() { slim-convert "$@" -o out --to hf || echo "exit $?"; }
head -c 1000 g/model.gguf >header.gguf && try header.gguf
head -c 3000000 g/model.gguf >cut.gguf && try cut.gguf
printf 'GGUF\003\000\000\000\377\377\377\377\377\377\377\177\000\000\000\000\000\000\000\000' >count.gguf && try count.gguf
printf 'version https://git-lfs.github.com/spec/v1\n' >lfs.gguf && try lfs.gguf
cp g/model.gguf part-00001-of-00002.gguf && try part-00001-of-00002.gguf
sed 's/qwen3/gemma/g' g/model.gguf >other.gguf && try other.gguf
sed 's/blk\.0\.ffn_up/blk.0.ffn_xx/' g/model.gguf >name.gguf && try name.gguf
mkdir two && cp g/model.gguf two/a.gguf && cp g/model.gguf two/b.gguf && try two
slim-convert g -o out --to mindie || echo "exit $?"
slim-convert $TESTDATA/models/tiny-qwen3 -o out --to gguf --dtype bf16 || echo "exit $?"
ls
