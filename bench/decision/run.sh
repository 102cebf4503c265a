#!/usr/bin/env bash
# What does one routing decision cost, against the number of experts?
#
#   bench/decision/run.sh [--json FILE] [--bin DIR] [--experts A,B] [--k A,B] [--decisions N] [--rounds N]
#
# Contenders: `penstock` (what a request runs), `rooms` (the same rooms on workspaces that are kept),
# `exhaustive` (double precision, every set looked at: the reference that the others are checked against
# first). features 0: every expert's estimates are given. Budgets of pool, tenant and platform are on.
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
[ -n "$bin" ] || bench_binaries penstock_bench_decision
exec python3 bench/decision/decision_report.py --bin "$bin" "${arguments[@]}"
