# Quantize in parts, on as many machines as make runs jobs on, and join them: the bytes of one run.
#   make -f quantize.mk -j 4 MODEL=Qwen3-8B OUT=Qwen3-8B-w8a16 TYPE=w8a16 PARTS=4
# TYPE is a data-free one (w8a16, or w8a8_dynamic with FLAGS='--smooth none'); calibrated ones go through mpirun, see
# quantize.sbatch. A part that was killed is taken up where it stopped by the next make.
MODEL ?= $(error MODEL=DIR is wanted)
OUT ?= $(error OUT=DIR is wanted)
TYPE ?= w8a16
PARTS ?= 4
FLAGS ?=

parts := $(foreach i,$(shell seq $(PARTS)),$(OUT).part$(i))

$(OUT): $(parts)
	slim-quant merge $@ $(parts)
	slim-verify $@
	rm -r $(parts)

$(OUT).part%:
	slim-quant $(MODEL) -o $@ --type $(TYPE) --shard $*/$(PARTS) $(FLAGS)
