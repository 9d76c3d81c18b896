"""What a loader's own words say about the cause, in the rules that may name it: independent of what slim-verify finds."""

import re

# (loader, what it, or the judge that ran it, said, rules). The first row that fits counts; a row without rules says nothing.
CAUSES = [(loader, re.compile(words), set(rules.split())) for loader, words, rules in [
    # config.json
    ("", r"`torch_dtype` is only supported|Dtype torch\.float32 is not supported|invalid dtype object", "LD-dtype"),
    ("", r"`quantize` is only supported|KeyError: 'quantize'", "LD-quantize"),
    ("", r"Unsupported value: -?\d+, this field is only supported for value 0, 64", "LD-group-size"),
    ("", r"not divisible by weight quantization block_n", "LD-quantization-config"),
    ("", r"Failed to find a kernel that can implement the ScaledMM", "LD-foreign-format"),
    # files
    ("", r"should not be writable by group", "LD-permissions"),
    ("", r"Error while deserializing header", "ST-truncated ST-header-past-end LD-unreadable-file"),
    ("", r"Expecting property name enclosed|Unterminated string starting", "JSON-syntax LD-description"),
    ("", r"Found multiple config files", "LD-description"),
    ("", r"Weight was found in multiple files", "LD-duplicate-tensor"),
    ("", r"Weight files referenced in index but missing", "LD-index"),
    ("", r"Weight file was not found for tensor named with model\.embed_tokens", "LD-index LD-missing-tensor"),
    # the description
    ("", r"Weight key \[.*is not found in quantization|KeyError: '(lm_head|model\.layers.*)\.weight'", "LD-missing-entry"),
    ("", r"KeyError: 'model\.embed_tokens\.weight'", "LD-missing-entry LD-quantization-config"),
    ("", r"Weight key with prefix|some but not all shards", "LD-mixed-group"),
    ("", r"doesn't support quant_type", "LD-type"),
    # tensors
    ("", r"kv_cache_scale does not exist|kv_cache", "LD-kv-cache"),
    ("", r"ZeroDivisionError", "LD-kv-cache"),
    ("mindie", r"not evenly divisible|must be multiples of the ten", "LD-kv-cache LD-shape LD-parallel"),
    ("", r"Weight file was not found for tensor|never set: ", "LD-missing-tensor"),
    ("", r"exceeds dimension size|Tried to load weights of size|AssertionError: ?$", "LD-shape"),
    ("", r"`input_dim` is not defined in BiasParameter", "LD-unknown-tensor"),
    ("", r"There is no module or parameter named|object has no attribute 'data'", "LD-unknown-tensor LD-description LD-kv-cache"),
    # values
    ("", r"deq_scale: (int64 values stored as|float\d+->int64 changes)", "LD-deq-flavour"),
    ("", r"input_offset: \w+->int8 changes", "LD-cast"),
    ("", r"\.weight: \w+->int8 changes", "LD-cast"),
    ("", r"lm_head\.weight: int8 values stored as", "LD-float-module"),
    ("", r"int8 values stored as.*no description", "LD-description"),
    ("", r"(int8 values|codes) stored as", "LD-type LD-cast LD-description"),
    ("", r"^not read: ", "LD-unread-tensor"),
]]


def causes(loader, said):
    """The rules, or None where the words do not tell: outputs differ, nothing else."""
    for only, words, rules in CAUSES:
        if (not only or only == loader) and words.search(said):
            return rules
    return None
