# What slim-run writes in msit's layout, torch files, is a dump that slim-diff reads; nothing in one is executed.
for type in float w8a16; do
  model=$TESTDATA/models/tiny-llama
  [ $type = float ] || { slim-quant $model -o quantized --type w8a16 -q; model=quantized; }
  slim-run $model -p Hello -n 0 --dump-layers $type --dump-format msit --backend reference
done
slim-diff float w8a16 --format csv >rows.csv
head -n 1 rows.csv
cut -d , -f 1,4,5,6 rows.csv | sed -n 2,4p
slim-diff float float --min-cosine 1 | head -n 3
slim-diff float w8a16 | head -n 4
file=$(find w8a16 -name 'output.pth' | LC_ALL=C sort | head -n 1)
python3 - "$file" <<'PYTHON'
import io, pickle, sys, zipfile
class Bomb:
    def __reduce__(self):
        return (print, ("executed",))
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    archive.writestr("archive/data.pkl", pickle.dumps(Bomb(), protocol=2))
    archive.writestr("archive/version", "3\n")
PYTHON
slim-diff float w8a16 >out || echo "exit $?"
