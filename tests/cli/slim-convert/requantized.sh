# FP8 blocks become W8A8_DYNAMIC in one command; plan and receipt have the SQNR of every weight, and the receipt the worst.
cat > make.py <<'P'
import os, pathlib, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests")
import foreign_checkpoints
foreign_checkpoints.fp8_block(pathlib.Path(os.environ["TESTDATA"], "golden/models/mini-qwen2-bfloat16"), pathlib.Path("fp8"))
P
PYTHONDONTWRITEBYTECODE=1 python3 make.py
slim-convert fp8 -o out --to ascendv1 --no-fsync || echo "exit $?"
slim-convert fp8 -o out --to ascendv1 --allow-loss --no-fsync
python3 -c '
import json
receipt = json.load(open("out/slim_receipt.json"))
print(receipt["loss_class"], receipt["loss"])
notes = [note["note"] for note in receipt["notes"] if "SQNR" in note["note"] and note["layer"].endswith("_proj.weight")]
print(len(notes), "weights with their SQNR, the first:", notes[0])'
