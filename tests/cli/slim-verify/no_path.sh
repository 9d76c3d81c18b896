slim-verify
