#!/usr/bin/env bash
# tsan_grpc.sh BUILD: runs the tests that use gRPC under ThreadSanitizer and keeps the reports whose
# summary names a file of ours. gRPC and Abseil are not instrumented in Debian's builds, so their
# happens-before is invisible and some thousand reports a run are false; suppressing them by library
# would hide races in our handlers too.
set -uo pipefail
build=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs="$build/tsan-reports"
rm -rf "$logs" && mkdir -p "$logs"
status=0
for test in common_net expert_oip router_oip; do
  binary="$build/bin/penstock_${test}_test"
  [ -x "$binary" ] || { echo "error: no $binary"; exit 1; }
  TSAN_OPTIONS="exitcode=0:log_path=$logs/$test" "$binary" --gtest_brief=1 || status=1
done
ours=$(cat "$logs"/* 2>/dev/null | grep -E '^SUMMARY' |
  grep -E " $root/(common|gateway|router_service|expert_service|cli)/" | sort | uniq -c | sort -rn)
printf 'reports that name our sources:\n%s\n' "${ours:-none}"
# Advisory, as the filter keeps some false ones: a reactor that hands itself from callback to callback.
exit "$status"
