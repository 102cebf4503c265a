#!/usr/bin/env bash
# Are budgets kept, at what loss of quality, and how fast is a simulated request?
#
#   bench/replay/run.sh --data DIR [--test DIR] [--json FILE] [--question budget|speed]... [--seeds N]
#                       [--estimates FILE] [--bin DIR]
#
# DIR has routing/, traces/ and calibration/. Without --test every row is replayed on estimates of the other
# folds; with it its rows and traces are, on estimates from the rows of --data. --estimates: CSV id,model,q,cost.
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
[ -n "$bin" ] || bench_binaries penstock_bench_replay
exec python3 bench/replay/replay_report.py --bin "$bin" "${arguments[@]}"
