#!/usr/bin/env bash
# Replays the kept corpus, then searches. Usage: run.sh PROGRAM FOLDER SECONDS
# Exits with libFuzzer's status, which is not 0 after a crash.
set -uo pipefail
program=$1
folder=$2
seconds=$3
kept=tests/fuzz/corpus
mkdir -p "$folder/corpus" "$folder/crashes"
log=$folder/log.txt

# A folder of its own gets what is found, so that the kept corpus grows by hand only.
RUST_BACKTRACE=0 "$program" -runs=0 -artifact_prefix="$folder/crashes/" "$kept" >"$log" 2>&1 &&
  RUST_BACKTRACE=0 "$program" -max_total_time="$seconds" -max_len=1024 -use_value_profile=1 -print_final_stats=1 \
    -artifact_prefix="$folder/crashes/" "$folder/corpus" "$kept" >>"$log" 2>&1
status=$?

if ((status != 0)); then
  grep --after-context=2 panicked "$log" || tail --lines=40 "$log"
  grep --only-matching "Test unit written to .*" "$log"
  echo "fuzz: failed; once it is fixed, keep the input in $kept under a name that says what it is"
else
  grep "^stat::number_of_executed_units" "$log" | tail --lines=1
  grep " cov: " "$log" | tail --lines=1
  echo "fuzz: nothing found in $seconds s, after replaying $(find "$kept" -type f | wc --lines) kept inputs"
fi
exit "$status"
