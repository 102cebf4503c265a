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
bench_arguments "$@"
bench_binaries penstock_bench_planning
exec python3 bench/planning/planning_report.py --bin "$bin" "${arguments[@]}"
