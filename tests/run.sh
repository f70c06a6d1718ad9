#!/usr/bin/env bash
# run.sh: installs what is missing, builds, runs every test and ends with one line,
# "N passed, N failed, N skipped"; exits 1 when anything failed.
#
#   tests/run.sh                 release build, all tests
#   tests/run.sh --sanitizers    and the tests of what others wrote once more with sanitizers
#
# Every test program prints "counted: N passed, N failed, N skipped" (tests/support/catch.cpp); one
# that dies or hangs before that line counts as a failure. Output is kept in build/PRESET/test-logs/.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

sanitizers=no
case ${1:-} in
  '') ;;
  --sanitizers) sanitizers=yes ;;
  *) echo "run.sh: unknown argument $1; expected none, or --sanitizers" >&2; exit 64 ;;
esac

# Programs that read what others wrote: run a second time with the address and undefined-behaviour
# sanitizers. Names as in CMakeLists.txt, without "test-"; programs whose children live under memory
# limits and system call filters are left out, since a sanitizer needs both otherwise.
sanitized=(base bundles text runner-report)
program_seconds=900

passed=0
failed=0
skipped=0
failures=()

count() { passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3)); }

# check NAME COMMAND...: one test that passes when the command exits 0.
check() {
  local name=$1 log=build/checks/${1//[^a-zA-Z0-9._-]/-}.log
  shift
  mkdir -p build/checks
  if "$@" > "$log" 2>&1; then
    count 1 0 0
  else
    count 0 1 0
    failures+=("$name")
    echo "FAILED: $name"
    tail -n 40 "$log"
  fi
}
skip() { count 0 0 1; echo "SKIPPED: $1: $2"; }

# build PRESET [OPTIONS OF cmake --build...]
build() {
  local preset=$1
  shift
  echo "building $preset"
  if ! cmake --preset "$preset" > "build/$preset-configure.log" 2>&1; then
    cat "build/$preset-configure.log"
    finish_early "configure $preset"
  fi
  if ! cmake --build --preset "$preset" "$@" > "build/$preset-build.log" 2>&1; then
    grep -E -A8 'error|FAILED' "build/$preset-build.log" | head -n 60
    finish_early "build $preset"
  fi
}
finish_early() {
  count 0 1 0
  failures+=("$1")
  summary
}
summary() {
  local name
  [ ${#failures[@]} = 0 ] || { echo; echo "failed:"; for name in "${failures[@]}"; do echo "  $name"; done; }
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] || exit 1
  exit 0
}

# run_program PRESET PATH: runs one test program and adds what it counted.
run_program() {
  local name status=0 log counted started=$SECONDS
  name=$(basename "$2")
  log=build/$1/test-logs/$name.log
  mkdir -p "build/$1/test-logs"
  timeout --kill-after=10 "$program_seconds" "$2" > "$log" 2>&1 < /dev/null || status=$?
  counted=$(grep -E '^counted: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1 || true)
  if [ -z "$counted" ]; then
    count 0 1 0
    failures+=("$1/$name: ended with status $status before it counted its tests")
    echo "FAILED: $1/$name: ended with status $status before it counted its tests"
    tail -n 40 "$log"
    return
  fi
  # shellcheck disable=SC2046
  count $(tr -dc '0-9 ' <<< "$counted")
  grep -E '^SKIPPED: ' "$log" || true
  printf '%-34s %s, %d s\n' "$1/$name" "${counted#counted: }" $((SECONDS - started))
  # Catch's own exit status, and a leak that a sanitizer finds after the count.
  if [ "$status" != 0 ]; then
    if grep -qE '^counted: [0-9]+ passed, 0 failed' <<< "$counted"; then count 0 1 0; fi
    failures+=("$1/$name (status $status, build/$1/test-logs/$name.log)")
    grep -vE '^(SKIPPED|counted): ' "$log" | tail -n 60
  fi
}

check_shell_syntax() {
  local file status=0
  while read -r file; do bash -n "$file" || status=1; done < <(git ls-files '*.sh' .ci/run)
  return "$status"
}
check_format() { git ls-files -z '*.cpp' '*.h' '*.cu' '*.cuh' | xargs -0 -r clang-format --dry-run --Werror; }
check_tools() { [ -z "$(tests/install.sh --list)" ]; }

mkdir -p build
tests/install.sh
check "everything the build needs is installed" check_tools

if git rev-parse --git-dir > /dev/null 2>&1; then
  check "shell scripts parse" check_shell_syntax
  # Another release of clang-format lays out some lines differently, so only this one judges.
  if clang-format --version 2> /dev/null | grep -q 'version 14\.'; then
    check "sources are laid out as .clang-format says" check_format
  else
    skip "sources are laid out as .clang-format says" "clang-format 14 is not installed"
  fi
else
  skip "shell scripts parse, sources are laid out" "not a git clone, so there is no list of files"
fi

build release
for program in build/release/bin/test-*; do
  [ -x "$program" ] || finish_early "no test programs in build/release/bin"
  run_program release "$program"
done

for folder in tests/data/goldens/*/; do
  [ -d "$folder" ] || finish_early "no goldens in tests/data/goldens"
  check "golden $(basename "$folder")" timeout "$program_seconds" build/release/bin/gf-golden "$folder"
done

if [ "$sanitizers" = yes ]; then
  targets=()
  for name in "${sanitized[@]}"; do [ ! -x "build/release/bin/test-$name" ] || targets+=("test-$name"); done
  build asan --target "${targets[@]}"
  for name in "${targets[@]}"; do run_program asan "build/asan/bin/$name"; done
fi
summary
