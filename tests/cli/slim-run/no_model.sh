slim-run nothing-here -p hello
