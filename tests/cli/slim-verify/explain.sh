slim-verify --explain LIN-shape
slim-verify --explain VAL-quant-bias
