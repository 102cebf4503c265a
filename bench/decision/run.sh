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
bench_arguments "$@"
bench_binaries penstock_bench_decision
exec python3 bench/decision/decision_report.py --bin "$bin" "${arguments[@]}"
