slim-verify --depe model
