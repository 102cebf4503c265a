#!/usr/bin/env bash
# How long does an exact plan take, how far from the best is one that is stopped, and when does choosing
# who is awake buy anything?
#
#   bench/planning/run.sh [--data DIR] [--json FILE] [--bin DIR]
#
# DIR holds routing/mmlupro.* and calibration/model_cards.csv; without it only the hard instance runs.
# Whether plans equal enumeration is a test: penstock_router_planning_test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bin="" arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --bin) bin=$2; shift 2 ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$1"); shift ;;
  esac
done
[ -n "$bin" ] || bench_binaries penstock_bench_planning
exec python3 bench/planning/planning_report.py --bin "$bin" "${arguments[@]}"
