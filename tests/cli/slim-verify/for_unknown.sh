# A profile, version or chip that does not exist lists those there are.
slim-verify --for vllm model || echo "exit $?"
slim-verify --for vllm-ascend@0.3 model || echo "exit $?"
slim-verify --for mindie --chip B7 model || echo "exit $?"
slim-verify --tp 2 model || echo "exit $?"
slim-verify --for mindie --tp 0 model || echo "exit $?"
slim-verify --list-rules --for mindie || echo "exit $?"
