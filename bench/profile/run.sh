#!/usr/bin/env bash
# Where does the quickstart's CPU time go: into kernels, into routing, or into the way between them?
#
#   bench/profile/run.sh [--json FILE] [--bin DIR] [--symbols N]
#
# Serves examples/digits in one process under Linux's perf (Debian: linux-perf), sampled by the CPU clock, and sends the
# quickstart's requests through it. Symbols are counted by the room that they stand in. The platform's CPU time alone:
# the client is another process. Wants the images that deploy/quickstart.sh leaves in build/digits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bench_arguments "$@"
bench_binaries penstock
command -v perf >/dev/null || { echo "error: no perf, wanted Debian's linux-perf" >&2; exit 1; }
[ -s build/digits/heldout.images.f32 ] || python3 examples/digits/fetch_data.py build/digits
exec python3 bench/profile/profile_report.py --bin "$bin" "${arguments[@]}"
