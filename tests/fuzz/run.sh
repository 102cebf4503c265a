#!/usr/bin/env bash
# run.sh FOLDER SECONDS: runs every fuzz target of FOLDER for SECONDS, from an empty corpus, one a core at a time.
set -euo pipefail
export folder=$1 seconds=$2
fuzz() { # target
  local log status=0
  log=$(mktemp)
  "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$folder/" >"$log" 2>&1 || status=$?
  if [ "$status" -eq 0 ]; then
    printf '%s: %s\n' "$(basename "$1")" "$(grep -E 'number_of_executed_units' "$log")"
  else
    tail -40 "$log"
    echo "error: $(basename "$1") found something; the input is in $folder"
  fi
  rm -f "$log"
  return "$status"
}
export -f fuzz
shopt -s nullglob
targets=("$folder"/penstock_*_fuzzer)
[ "${#targets[@]}" -gt 0 ] || { echo "error: no fuzz target in $folder"; exit 1; }
printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz "$0"'
