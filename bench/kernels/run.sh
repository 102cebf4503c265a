#!/usr/bin/env bash
# How near do the kernels come to what one core of this machine can do, and to what others make of it?
#
#   bench/kernels/run.sh [--json FILE] [--bin DIR] [--torch PYTHON] [--formats A,B] [--rows A,B] [--isas A,B]
#                        [--experts N] [--d N] [--f N] [--rounds N]
#   bench/kernels/run.sh --op linear_attention|route_topk|sparse_down [--json FILE] [--bin DIR] [--torch PYTHON]
#                        [--isas A,B] [--rounds N]
#
# The ceilings are measured in the same run: reading (the best of 1 to 8 streams with and without prefetching) and a
# loop of multiply-adds in registers. floor over time: the larger of bytes / reading and operations / multiplying, over
# the time taken. Contenders: oneDNN where it was installed when this was built (Debian: libdnnl-dev), PyTorch of the
# Python given (--torch), each on one core too. Nothing else should run on the machine.
#
# --op: linear_attention's blocks of tokens against the faster of its two forms token after token, and against a loop
# over tokens and the fastest blocks of PyTorch's products; route_topk's nanoseconds a row; sparse_down against the dense
# product of the same matrix. Forms take turns; the best of the rounds counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bench_arguments "$@"
bench_binaries penstock_bench_kernels
exec python3 bench/kernels/kernels_report.py --bin "$bin" "${arguments[@]}"
