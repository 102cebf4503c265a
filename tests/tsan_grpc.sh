#!/usr/bin/env bash
# tsan_grpc.sh BUILD: runs the tests that use gRPC under ThreadSanitizer; fails by a failed test and by a
# report that accuses our own code (tests/tsan_reports.py). gRPC and Abseil are not instrumented in Debian's
# builds: their own accesses are left out, or gRPC's sends of a mebibyte take minutes to report.
set -uo pipefail
build=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs="$build/tsan-reports"
rm -rf "$logs" && mkdir -p "$logs"
status=0
# EqualityTest sends every held-out image through five processes: minutes under TSan, nothing of its own.
for test in common_net gateway_service expert_oip router_oip cli integration; do
  binary="$build/bin/penstock_${test}_test"
  [ -x "$binary" ] || { echo "error: no $binary"; exit 1; }
  TSAN_OPTIONS="exitcode=0:history_size=7:ignore_noninstrumented_modules=1:log_path=$logs/$test" \
    "$binary" --gtest_brief=1 --gtest_filter=-EqualityTest.* || status=1
done
python3 "$root/tests/tsan_reports.py" "$logs" || status=1
exit "$status"
