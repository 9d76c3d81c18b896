cp -r $TESTDATA/golden/models/mini-qwen2-bfloat16 in
try() { slim-quant in -o out || echo "exit $?"; }
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' >in/model.safetensors && try
printf 'GGUF\003\0\0\0\0\0\0\0\0\0\0\0' >in/model.safetensors && try
printf '\200\002}q\000.aaaaaaaaaaaa' >in/model.safetensors && try
printf '<!DOCTYPE html><html>not found</html>' >in/model.safetensors && try
head -c 100000 $TESTDATA/golden/models/mini-qwen2-bfloat16/model.safetensors >in/model.safetensors && try
test ! -e out
