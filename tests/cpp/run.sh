#!/usr/bin/env bash
# Runs the boundary test three times. Usage: run.sh PLAIN SANITIZED
set -euo pipefail
plain=$1
sanitized=$2
passed=0
skipped="0 skipped"
# Where the program's own output goes; its stderr is looked at.
exec 3>&1

# A caught panic is no error to the program, but it says so on stderr.
run() {
  echo "boundary, $1:"
  shift
  local said
  if ! said=$("$@" 2>&1 >&3); then
    echo "$said" >&2
    echo "boundary: failed: $*" >&2
    exit 1
  fi
  if [[ -n $said ]]; then
    echo "$said" >&2
    echo "boundary: said something on stderr: $*" >&2
    exit 1
  fi
  passed=$((passed + 1))
}

run plain "$plain"
run "under AddressSanitizer and UndefinedBehaviorSanitizer" "$sanitized"
# Valgrind is some thirty times slower.
if command -v valgrind >/dev/null; then
  run "under valgrind" valgrind --quiet --error-exitcode=99 --leak-check=full "$plain" 300 60
else
  skipped="1 skipped (valgrind is not installed; Debian's package valgrind brings it)"
  # As tests/skips.py does.
  echo "SKIPPED: boundary: $skipped" | tee --append "${HUNGARIAN_SKIPPED:-/dev/null}"
fi
echo "boundary: $passed of 3 runs passed, $skipped"
