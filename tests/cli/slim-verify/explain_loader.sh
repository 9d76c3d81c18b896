slim-verify --explain LD-kv-cache
slim-verify --explain LD-quantize
