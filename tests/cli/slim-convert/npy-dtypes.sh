# Arrays of every dtype that checkpoints have go through numpy's files as they are; orders of bytes and elements that are not read
# are refused by name.
cat > make.py <<'P'
import os, pathlib, shutil, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests")
import npy_files
from checkpoint_files import Checkpoint
source = pathlib.Path(os.environ["TESTDATA"], "golden/one-click/mini-qwen3-float16", sys.argv[1])
target = pathlib.Path(sys.argv[2])
form = {"order": sys.argv[3], "fortran": sys.argv[4] == "fortran"}
target.mkdir()
files = {}
for name, held in Checkpoint(source).tensors.items():
    module, suffix = name.rsplit(".", 1)
    if "norm" in module:
        files.setdefault("anti_fp_norm", {})[name] = held
    else:
        files.setdefault("quant_weight" if suffix == "weight" else suffix, {})[module] = held
for file, content in files.items():
    npy_files.write(target / f"{file}.npy", content, **form)
config = (source / "config.json").read_text()
(target / "config.json").write_text(config.replace("{", '{"quantize": "%s",' % sys.argv[5], 1))
print(sorted({held.dtype for content in files.values() for held in content.values()}))
P
make() { PYTHONDONTWRITEBYTECODE=1 python3 make.py "$@"; }
make w8a8-static-all static "<" c w8a8
make w8a8-dynamic dynamic "<" c w8a8_dynamic
for name in static dynamic; do slim-convert $name -o $name-back --to ascendv1 -q --no-fsync; done
cat > same.py <<'P'
import os, pathlib, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests")
from checkpoint_files import Checkpoint
for golden, back in (("w8a8-static-all", "static-back"), ("w8a8-dynamic", "dynamic-back")):
    wanted = Checkpoint(pathlib.Path(os.environ["TESTDATA"], "golden/one-click/mini-qwen3-float16", golden)).tensors
    found = Checkpoint(back).tensors
    print(back, {name: (held.dtype, held.shape, held.data) for name, held in found.items()} ==
          {name: (held.dtype, held.shape, held.data) for name, held in wanted.items()})
P
PYTHONDONTWRITEBYTECODE=1 python3 same.py
make w8a8-static-all big ">" c w8a8
slim-convert big -o out --to ascendv1 || echo "exit $?"
make w8a8-static-all columns "<" fortran w8a8
slim-convert columns -o out --to ascendv1 || echo "exit $?"
