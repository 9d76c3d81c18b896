slim-verify --list-profiles
