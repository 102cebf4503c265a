#!/usr/bin/env bash
# What does it take to read a prompt, and to say of every expert how likely it is right and how long its
# answer will be?
#
#   bench/features/run.sh [--json FILE] [--bin DIR] [--bytes A,B] [--experts N] [--prompts N] [--rounds N]
#
# Contenders: `penstock` (features and model, as a request runs them), its parts `extract` and `predict`,
# `reference` (strings, a map and double precision: what the others are checked against first) and
# `memory_pass` (the floor: as many bytes read once, in order). One core, warm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bin="" arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --bin) bin=$2; shift 2 ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$1"); shift ;;
  esac
done
[ -n "$bin" ] || bench_binaries penstock_bench_features
exec python3 bench/features/features_report.py --bin "$bin" "${arguments[@]}"
