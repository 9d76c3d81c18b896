# The shells themselves complete what the flag tables hold.
complete_bash() {  # WORDS...: the last one is being typed
  bash -c 'source <("$1" --completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
           "_${1//-/_}"; echo "${COMPREPLY[@]}"' bash "$@"
}
complete_bash slim-quant a
complete_bash slim-quant model --smooth-
complete_bash slim-quant model --smooth ""
complete_bash slim-quant model --smooth = f
complete_bash slim-quant analyze --met
complete_bash slim-quant analyze --smooth
for tool in slim-quant slim-convert slim-verify slim-diff slim-run; do
  "$tool" --completion bash | bash -n && "$tool" --completion fish | fish -n
  "$tool" --completion zsh >"_$tool" && zsh -n "_$tool"
done
slim-verify --completion fish >verify.fish
fish --no-config -c 'source verify.fish; complete -C "slim-verify --colo"; complete -C "slim-verify --color a"'
slim-verify --completion csh || echo "exit $?"
