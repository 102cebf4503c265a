#!/usr/bin/env bash
# Builds and runs every test of Penstock.
#
#   tests/run.sh           unit, integration and client tests on the release build; ASan+UBSan and TSan on
#                          the gRPC-free core; every fuzz target for 20 s; the CUDA sources compiled
#   tests/run.sh --long    adds what takes minutes: ASan+UBSan and TSan with gRPC, 100,000 mutated requests
#                          among them, a minute of fuzzing a target, and the tests with the label `long`
#   --fuzz_seconds N       of each target, instead
#
# Installs what it needs (Debian packages; Python packages into virtual environments under build/).
# What cannot be installed is skipped with its reason; under CI=true a skip fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }
long=false
fuzz_seconds=""
while [ $# -gt 0 ]; do
  case "$1" in
    --long) long=true ;;
    --fuzz_seconds)
      [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || { echo "error: --fuzz_seconds '${2:-}', wanted a whole number" >&2; exit 2; }
      fuzz_seconds=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

source deploy/packages.sh
jobs=$(nproc)
if [ -z "$fuzz_seconds" ]; then
  fuzz_seconds=20
  $long && fuzz_seconds=60
fi
stage_name=""
stage() { # name: ends the stage before, saying its minutes, and starts this one
  if [ -n "$stage_name" ]; then
    awk -v s="$((SECONDS - stage_started))" -v n="$stage_name" 'BEGIN {printf "-- %.1f min: %s\n", s / 60, n}'
  fi
  stage_name=$1
  stage_started=$SECONDS
  printf '\n== %s\n' "$stage_name"
}
skip() { # reason
  echo "skipped: $1"
  if [ "${CI:-}" = true ]; then
    echo "error: a skip fails under CI=true" >&2
    exit 1
  fi
}
build() { # preset
  cmake --preset "$1" >"build/configure-$1.log" 2>&1 || { cat "build/configure-$1.log"; exit 1; }
  cmake --build --preset "$1" -j "$jobs" -- --quiet
}

mkdir -p build
stage "packages"
penstock_install "${PENSTOCK_BUILD_PACKAGES[@]}" "${PENSTOCK_TEST_PACKAGES[@]}"

stage "the example's images"
python3 examples/digits/fetch_data.py build/digits || skip "the images of examples/digits could not be fetched"

stage "release build"
build release

stage "CUDA sources compile"
if ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  tests/cuda_toolchain.sh build/cuda-toolchain || skip "no nvcc, and none could be installed"
  [ -x build/cuda-toolchain/bin/nvcc ] && export PATH="$PWD/build/cuda-toolchain/bin:$PATH"
fi
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then
  cmake --preset cuda -DPENSTOCK_CORE_ONLY=ON >build/configure-cuda.log 2>&1 || { cat build/configure-cuda.log; exit 1; }
  cmake --build --preset cuda -j "$jobs" --target penstock_kernels_test -- --quiet
  # Without a device the CUDA implementations must say that they are absent, and the rest pass.
  build/cuda/bin/penstock_kernels_test --gtest_brief=1 >build/kernels-cuda.log 2>&1 || { tail -60 build/kernels-cuda.log; exit 1; }
  tail -3 build/kernels-cuda.log
fi

stage "ASan and UBSan, gRPC-free core"
build asan-core
ctest --preset asan-core -j "$jobs" --output-on-failure >build/ctest-asan-core.log 2>&1 || { tail -60 build/ctest-asan-core.log; exit 1; }
tail -4 build/ctest-asan-core.log

stage "TSan, gRPC-free core"
build tsan-core
ctest --preset tsan-core -j "$jobs" --output-on-failure >build/ctest-tsan-core.log 2>&1 || { tail -60 build/ctest-tsan-core.log; exit 1; }
tail -4 build/ctest-tsan-core.log

stage "fuzzing, $fuzz_seconds s a target"
build fuzz
tests/fuzz/run.sh build/fuzz/bin "$fuzz_seconds"

if $long; then
  stage "ASan and UBSan, with gRPC"
  build asan
  ctest --preset asan -j 1 --output-on-failure -LE 'long'
  stage "TSan, with gRPC, reports from our sources only"
  build tsan
  tests/tsan_grpc.sh build/tsan
  stage "long tests on the release build"
  ctest --preset release -j 1 --output-on-failure -L long 2>&1 | tee build/ctest-long.log
  # ctest takes a test that was skipped for one that passed.
  if grep -q '(Skipped)$' build/ctest-long.log; then
    skip "long tests: $(sed -n 's/.* - \(.*\) (Skipped)$/\1/p' build/ctest-long.log | paste -sd ' ')"
  fi
fi

# Last, so that the run closes with ctest's summary (and its seconds).
stage "tests on the release build"
ctest --preset release -j "$jobs" --output-on-failure -LE 'long'
