# A signal ends a generation, and the parent sees death by that signal.
slim-run $TESTDATA/models/tiny-qwen2 -p "In the beginning" -n 100000000 --ctx 100000000 --temperature 2 -q >text &
while ! [ -s text ]; do sleep 0.05; done
kill -TERM $!
wait $! || exit $?
