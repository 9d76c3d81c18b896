# Manifests of parts and of a GGUF file: what changed is named by its tensor and part; a killed run goes on.
flip() {  # FILE OFFSET
  python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1)[0] ^ 4; f.seek(-1, 1); f.write(bytes([b]))' "$@"
}
slim-convert $TESTDATA/golden/models/mini-qwen2-bfloat16 -o gguf --to gguf -q
slim-verify --manifest write gguf/model.gguf
slim-verify --manifest check gguf/model.gguf
cp gguf/model.gguf copy
flip gguf/model.gguf 200000
slim-verify --manifest check gguf/model.gguf || echo "exit $?"
cp copy gguf/model.gguf
flip gguf/model.gguf 100
slim-verify --manifest check gguf/model.gguf | sed -n '1,2p;$p'
head -c 200000 copy >gguf/model.gguf
slim-verify --manifest check gguf/model.gguf | sed -n '1,2p;$p'

# A sparse checkpoint in two parts.
python3 "$ROOT/tests/sparse_checkpoint.py" sparse
slim-convert sparse -o parts --to mindie-parts --tp 2 --dtype fp16 --allow-loss -q
slim-verify --deep parts
python3 - <<'PYTHON'
import os, resource, subprocess
def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
run = subprocess.run(["slim-verify", "--manifest", "write", "parts"], preexec_fn=limit, capture_output=True, text=True)
print(run.returncode, os.path.exists("parts/slim_manifest.json"))
PYTHON
slim-verify --manifest write --threads 1 parts 2>&1 | sed 's/[0-9]* digests/* digests/'
slim-verify --manifest check parts
cp -r parts broken
flip broken/part1-of-2/quant_model_weight_w8a8sc.safetensors 30000
slim-verify --manifest check broken || echo "exit $?"
rm -r broken/part0-of-2
slim-verify --manifest check broken | grep -c MAN- || true
(cd parts && find . -name '*.safetensors' | sort | xargs sha256sum) >SHA256SUMS
slim-verify --manifest check --manifest-file SHA256SUMS parts
slim-verify --manifest check --manifest-file SHA256SUMS broken | tail -n 1
