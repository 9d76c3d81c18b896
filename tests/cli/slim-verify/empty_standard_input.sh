slim-verify - </dev/null
