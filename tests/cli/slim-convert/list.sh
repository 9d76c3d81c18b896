slim-convert --list
