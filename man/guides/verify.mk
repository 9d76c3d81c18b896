# Makefile rules: CHECKPOINT.verified is newer than every file of the directory CHECKPOINT, or slim-verify runs again.
#
#   SLIM_VERIFY_FLAGS   flags for slim-verify, for instance --deep --strict

.PRECIOUS: %.verified
.SECONDEXPANSION:
%.verified: $$(wildcard $$*/*)
	slim-verify --quiet $(SLIM_VERIFY_FLAGS) $* || { slim-verify $(SLIM_VERIFY_FLAGS) $*; exit 1; }
	touch $@
