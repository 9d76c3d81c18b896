slim-verify --rules LIN-shpae model
