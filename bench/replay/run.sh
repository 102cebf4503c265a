#!/usr/bin/env bash
# Are budgets kept, at what loss of quality, what can callers take who deceive the router, are latency promises
# kept, what do requests of a busy pool gain by being assigned together, and how fast is a simulated request?
#
#   bench/replay/run.sh --data DIR [--test DIR] [--json FILE] [--question budget|abuse|deadline|load|speed]...
#                       [--seeds N] [--first_seed N] [--estimates FILE] [--bin DIR]
#
# DIR has routing/, traces/ and calibration/. Without --test every row is replayed on estimates of the other
# folds; with it its rows and traces are, on estimates from the rows of --data. --estimates: CSV id,model,q,cost.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bench_arguments "$@"
bench_binaries penstock_bench_replay
exec python3 bench/replay/replay_report.py --bin "$bin" "${arguments[@]}"
