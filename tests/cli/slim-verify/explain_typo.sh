slim-verify --explain LIN-shaep
