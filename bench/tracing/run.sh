#!/usr/bin/env bash
# What does tracing add to a request at each service, in nanoseconds and allocations?
#
#   bench/tracing/run.sh [--json FILE] [--bin DIR] [--requests N] [--rounds N]
#
# `off`: no collector. `on`: with one that takes everything; the caller's traceparent says that it is not
# sampled, or there is none and the draw says no, or the request is traced. One thread, warm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bench_arguments "$@"
bench_binaries penstock_bench_tracing
exec python3 bench/tracing/tracing_report.py --bin "$bin" "${arguments[@]}"
