#!/bin/sh
# Builds slim and runs every test there is. The last line is "N passed, N failed" (", N skipped" where some were), counting
# single cases; exit 0 only if nothing failed.
#
#   sh tests/check.sh [--long] [PART...]
#
# Parts: those of the two lines below; without one those of the first, with --long all. --long also fuzzes 10 minutes a target, sends
# the server 10 000 malformed requests, corrupts 3000 checkpoints instead of 1000 and fails every call instead of some.
# tests/plan.tsv says which test does which row of the plan.
# Missing Debian packages are installed first (tools/packages.sh). The Python peers (torch, transformers, …) are used from
# build/peers; SLIM_PEERS=install puts them there, SLIM_PEERS_PYTHON names another interpreter that has them; without
# either the tests that need them are skipped.
set -u
cd "$(dirname "$0")/.." || exit 2

all_parts="layering format unit cli flags fault server accuracy demo package peers sanitize fuzz"
long_parts="tidy threads memcheck aarch64 chroot reproducible"
fuzz_seconds=20
parts=""
for word in "$@"; do
  case $word in
    --long)
      fuzz_seconds=600
      SLIM_SERVER_FUZZ=10000
      SLIM_CORRUPTIONS=3000
      SLIM_KILLS=10
      SLIM_LONG=1
      export SLIM_SERVER_FUZZ SLIM_CORRUPTIONS SLIM_KILLS SLIM_LONG
      ;;
    -h | --help)
      sed -n '2,/^set -u/{s/^# \{0,1\}//p}' tests/check.sh
      sed -n 's/^\(all\|long\)_parts="\(.*\)"$/\1: \2/p' tests/check.sh
      exit 0
      ;;
    *)
      case " $all_parts $long_parts " in
        *" $word "*) parts="$parts $word" ;;
        *) echo "check.sh: no part is called $word (see the head of tests/check.sh)" >&2; exit 2 ;;
      esac
      ;;
  esac
done
if [ -z "$parts" ]; then
  parts=$all_parts
  [ "$fuzz_seconds" -eq 20 ] || parts="$parts $long_parts"
fi

CCACHE_BASEDIR=$(pwd)
CCACHE_NOHASHDIR=1
export CCACHE_BASEDIR CCACHE_NOHASHDIR
jobs=$(nproc)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
skipped=0

# run NAME COMMAND...: tests whose last line may be "N passed, N failed, N skipped"; else the exit code is one case.
run() {
  name=$1
  shift
  echo "== $name"
  start=$(date +%s)
  { "$@"; printf '\nexit %s\n' "$?"; } 2>&1 | tee "$log" | sed '$d'
  code=$(sed -n '$s/^exit //p' "$log")
  counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$log" | tail -n 1)
  if [ -z "$counts" ]; then
    if [ "$code" = 0 ]; then counts="$success 0 0"; else counts="0 1 0"; fi
  elif [ "$code" != 0 ] && [ "$(echo "$counts" | cut -d' ' -f2)" = 0 ]; then
    counts="$(echo "$counts" | cut -d' ' -f1) 1 $(echo "$counts" | cut -d' ' -f3)"
  fi
  passed=$((passed + $(echo "$counts" | cut -d' ' -f1)))
  failed=$((failed + $(echo "$counts" | cut -d' ' -f2)))
  skipped=$((skipped + $(echo "$counts" | cut -d' ' -f3)))
  echo "== $name: $(($(date +%s) - start)) s"
  [ "$code" = 0 ]
}

# step NAME COMMAND...: work that is no test, and a failure only when it fails.
success=1
step() {
  success=0
  run "$@"
  done_well=$?
  success=1
  return "$done_well"
}

finish() {
  if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  [ "$failed" -eq 0 ]
  exit
}

# build PRESET [TARGET...]: quiet unless it fails.
build() {
  preset=$1
  shift
  cmake --preset "$preset" >"build/$preset.log" 2>&1 && cmake --build --preset "$preset" ${1:+--target "$@"} >>"build/$preset.log" 2>&1
  status=$?
  [ "$status" -eq 0 ] || tail -n 60 "build/$preset.log"
  return "$status"
}

# need_build PRESET [TARGET...]: once a run; what depends on it is not run where it fails.
built=""
need_build() {
  case $built in
    *" $1:ok "*) return 0 ;;
    *" $1:bad "*) return 1 ;;
  esac
  if step "build $1" build "$@"; then
    built="$built $1:ok "
  else
    built="$built $1:bad "
    return 1
  fi
}

format_check() {
  find libcommon tools tests bench \( -name '*.cc' -o -name '*.h' \) -print0 | xargs -0 clang-format --dry-run -Werror
}

# Some minutes a core: asked for by name, or part of --long.
tidy_check() {
  find libcommon tools -name '*.cc' -print0 | xargs -0 -n 4 -P "$jobs" clang-tidy -p build/release --quiet
}

find_peers() {
  peers=${SLIM_PEERS_PYTHON:-}
  [ -z "$peers" ] || return 0
  if [ "${SLIM_PEERS:-}" = install ] && ! cmp -s tests/peers/requirements.txt build/peers/installed.txt; then
    step "install peers" install_peers || return 1
  fi
  [ ! -x build/peers/bin/python ] || peers=build/peers/bin/python
}

# torch first and by its exact version: what depends on it would otherwise choose a build with gigabytes of CUDA.
install_peers() {
  sh tools/packages.sh peers && python3 -m venv build/peers &&
    build/peers/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' tests/peers/requirements.txt)" &&
    build/peers/bin/python -m pip install --quiet --disable-pip-version-check -r tests/peers/requirements.txt &&
    cp tests/peers/requirements.txt build/peers/installed.txt
}

# python_tests BIN FILES...: nothing to do is fine.
python_tests() {
  interpreter=$1
  shift
  files=""
  for file in "$@"; do
    [ ! -f "$file" ] || files="$files $file"
  done
  if [ -z "$files" ]; then
    echo "0 passed, 0 failed, 0 skipped"
    return 0
  fi
  # shellcheck disable=SC2086
  "$interpreter" tests/run_python.py -j "$jobs" $files
}

check_peers() {
  find_peers || return
  if [ -n "$peers" ]; then
    run "peers ($peers)" python_tests "$peers" tests/peers/*_test.py
  else
    echo "SKIPPED: the tests against Python peers; SLIM_PEERS=install sh tests/check.sh runs them"
    run "peers, skipped" python_tests_count tests/peers/*_test.py
  fi
}

python_tests_count() {
  if [ -f "$1" ]; then python3 tests/run_python.py --count "$@"; else echo "0 passed, 0 failed, 0 skipped"; fi
}

# The clang build with AddressSanitizer and UBSan that the fuzz targets need anyway serves the whole suite.
# Reports of sanitizers must not look like exit code 1, the honest negative.
sanitize() {
  need_build fuzz all fuzzers || return
  ASAN_OPTIONS=exitcode=99:detect_stack_use_after_return=1
  UBSAN_OPTIONS=exitcode=99:print_stacktrace=1
  export ASAN_OPTIONS UBSAN_OPTIONS
  run "unit tests, sanitized" python3 tests/run_unit.py build/fuzz -j "$jobs" --timeout 1200
  run "command-line tests, sanitized" python3 tests/run.py --bin build/fuzz/bin -j "$jobs" --timeout 600
  unset ASAN_OPTIONS UBSAN_OPTIONS
}

# SLIM_AARCH64_ROOT: the packages unpacked there serve (cmake/aarch64.cmake), nothing is installed. The programs answer from
# scripts of their names that run them under qemu, so the baselines are those of x86-64.
check_aarch64() {
  [ -n "${SLIM_AARCH64_ROOT:-}" ] || step "packages, aarch64" sh tools/packages.sh aarch64 || return
  need_build aarch64 || return
  emulator="qemu-aarch64 -L ${SLIM_AARCH64_ROOT:-/usr/aarch64-linux-gnu}"
  run "unit tests, aarch64" python3 tests/run_unit.py build/aarch64 -j "$jobs" --timeout 3600 --emulator "$emulator"
  mkdir -p build/aarch64/emulated
  for program in build/aarch64/bin/*; do
    script=build/aarch64/emulated/$(basename "$program")
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$emulator" "$(pwd)/$program" >"$script"
    chmod +x "$script"
  done
  run "command-line tests, aarch64" python3 tests/run.py --bin build/aarch64/emulated -j "$jobs" --timeout 600
}

# What has threads, under ThreadSanitizer: the layers with a pool, and the server with its clients.
check_threads() {
  threaded="unit_os unit_parallel unit_kernels unit_checkpoint unit_convert unit_quant unit_diff unit_run unit_serve unit_text unit_verify"
  # shellcheck disable=SC2086
  need_build tsan $threaded slim-run || return
  TSAN_OPTIONS=exitcode=99
  export TSAN_OPTIONS
  run "unit tests, threads" python3 tests/run_unit.py build/tsan -j "$jobs" --timeout 2400
  run "server, threads" python3 tests/run_python.py --bin build/tsan/bin tests/server_test.py
  unset TSAN_OPTIONS
}

mkdir -p build
packages="build test"
for part in $parts; do
  case " $long_parts " in *" $part "*) packages="build test long" ;; esac
done
# shellcheck disable=SC2086
step "packages" sh tools/packages.sh $packages || finish

for part in $parts; do
  case $part in
    layering) run "layering" python_tests python3 tests/layering_test.py ;;
    format) run "format" format_check ;;
    unit)
      if need_build release; then
        run "unit tests" python3 tests/run_unit.py build/release -j "$jobs"
        run "fuzz corpus" python3 tests/fuzz/run.py replay build/release
      fi
      ;;
    cli) need_build release && run "command-line tests" python3 tests/run.py -j "$jobs" ;;
    flags)
      # The long ones first: the files run side by side.
      need_build release && run "flags, man pages, schemas" python_tests /usr/bin/python3 tests/robustness_test.py tests/malformed_test.py tests/corruption_test.py tests/loader_repair_test.py \
        tests/loader_truth_test.py tests/golden_verify_test.py tests/golden_recipes_test.py tests/user_threads_test.py tests/matrix_test.py tests/verify_test.py tests/quant_report_test.py \
        tests/schemas_test.py tests/flags_test.py tests/golden_stick_test.py tests/foreign_golden_test.py tests/round_trip_test.py tests/convert_memory_test.py tests/quant_memory_test.py tests/plan_test.py \
        tests/plan_rows_test.py tests/objects_test.py tests/guides_test.py tests/readme_test.py tests/man_examples_test.py
      ;;
    accuracy) need_build release && run "accuracy" python_tests python3 tests/accuracy_test.py ;;
    demo) need_build release && run "demo" sh tools/demo.sh ;;
    package) need_build release && run "packages" python_tests python3 tests/package_test.py ;;
    chroot) need_build release && run "packages in fresh systems" python_tests python3 tests/chroot_test.py ;;
    reproducible) run "reproducible build" python_tests python3 tests/reproducible_test.py ;;
    tidy) need_build release && run "clang-tidy" tidy_check ;;
    server) need_build release && run "server" python_tests python3 tests/server_test.py ;;
    threads) check_threads ;;
    memcheck) need_build release && run "memcheck" python_tests python3 tests/memcheck_test.py ;;
    fault) need_build release && run "faults" python_tests python3 tests/fault/calls_test.py tests/fault/inputs_test.py tests/fault/output_test.py \
      tests/fault/power_test.py tests/fault/resume_test.py tests/fault/surroundings_test.py ;;
    peers) need_build release && check_peers ;;
    aarch64) check_aarch64 ;;
    sanitize) sanitize ;;
    fuzz)
      if need_build fuzz all fuzzers; then
        run "fuzz, $fuzz_seconds s a target" python3 tests/fuzz/run.py fuzz build/fuzz --seconds "$fuzz_seconds" -j "$jobs"
      fi
      ;;
  esac
done
finish
