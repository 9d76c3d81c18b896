# What the timings of commands that write checkpoints share; sourced from the root of the checkout with $work set. The commands
# take turns, because what a write costs depends on what the machine did just before.
PATH="$PWD/build/release/bin:$PATH"
once() { # NAME COMMAND...: appends the wall seconds of one run, which writes $work/out, to $work/NAME.s
  name=$1
  shift
  rm -rf "$work/out"
  sync
  start=$(date +%s.%N)
  "$@" >/dev/null 2>&1
  end=$(date +%s.%N)
  echo "$end $start" | awk '{ printf "%.3f\n", $1 - $2 }' >>"$work/$name.s"
}
copy() { cp -r --reflink=never "$work/$1" "$work/out" && sync; } # FOLDER: what the others are held against
median() { sort -n "$work/$1.s" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
peak() { # COMMAND...: its largest resident memory in MiB
  rm -rf "$work/out"
  python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$@"
}
report() { # NAME BASE COMMAND...
  name=$1
  base=$2
  shift 2
  ratio=$(echo "$(median "$name") $(median "$base")" | awk '{ printf "%.2f", $1 / $2 }')
  echo "$name: $(median "$name") s, $ratio x the copy, peak $(peak "$@") MiB"
}
