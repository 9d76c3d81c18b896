slim-convert --list --json | head -8
