#!/usr/bin/env bash
# run.sh FOLDER SECONDS: runs every fuzz target of FOLDER for SECONDS, from an empty corpus.
set -euo pipefail
folder=$1 seconds=$2
ran=0
for target in "$folder"/penstock_*_fuzzer; do
  [ -x "$target" ] || continue
  log=$(mktemp)
  if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$folder/" >"$log" 2>&1; then
    tail -40 "$log"
    echo "error: $(basename "$target") found something; the input is in $folder"
    exit 1
  fi
  printf '%s: %s\n' "$(basename "$target")" "$(grep -E 'number_of_executed_units' "$log")"
  rm -f "$log"
  ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "error: no fuzz target in $folder"; exit 1; }
