# A killed run leaves its journal, the next one goes on and takes it away.
cp -r $TESTDATA/golden/one-click/mini-qwen2-bfloat16/w8a16 model
slim-verify --manifest write --quiet model
mv model/slim_manifest.json wanted
python3 - <<'PYTHON'
import os, resource, signal, subprocess
# The journal may grow to 4 096 bytes, then SIGXFSZ or EFBIG ends the run.
def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
run = subprocess.run(["slim-verify", "--manifest", "write", "model"], preexec_fn=limit, capture_output=True, text=True)
print(run.returncode, os.path.exists("model/slim_manifest.json"), os.path.getsize("model/.slim_manifest.json.slim-journal"))
PYTHON
slim-verify --manifest write --threads 1 model
cmp model/slim_manifest.json wanted
ls -A model
