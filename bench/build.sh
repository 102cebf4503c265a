# Sourced by run.sh of a bench: bench_binaries TARGET... builds them in the release preset; their folder is
# then in $bin.
bench_binaries() {
  cmake --preset release >/dev/null
  cmake --build --preset release -j "$(nproc)" --target "$@" -- --quiet
  bin=$PWD/build/release/bin
}
