# Flags of later versions are not accepted silently.
for flag in --for=vllm --chip=A2 --tp=2 --baseline=x; do
  slim-verify $flag model && exit 9 || echo "$flag $?"
done
