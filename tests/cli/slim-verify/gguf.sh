# A GGUF file is judged by its own header, alone or in a directory; a broken one is a finding; no loader of ours reads it.
slim-convert $TESTDATA/golden/models/mini-qwen2-bfloat16 -o gguf --to gguf -q
slim-verify --deep gguf
slim-verify gguf/model.gguf
slim-verify --for vllm-ascend gguf || echo "exit $?"
change() {  # OFFSET BYTES
  cp gguf/model.gguf broken.gguf
  printf "$2" | dd of=broken.gguf bs=1 seek="$1" conv=notrunc 2>/dev/null
  slim-verify broken.gguf | sed -n '1,2p;$p'
}
change 0 LMGG
change 4 '\001'
change 15 '\100'
change 30 '\377\377'
head -c 100000 gguf/model.gguf >broken.gguf
slim-verify broken.gguf || echo "exit $?"
