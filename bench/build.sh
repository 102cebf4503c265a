# Sourced by run.sh of a bench.
#
# bench_arguments "$@": takes --bin DIR into $bin, prints the comment at the head of run.sh for --help, and leaves
# the rest in $arguments.
bench_arguments() {
  bin="" arguments=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --bin) bin=$2; shift 2 ;;
      -h | --help) sed -n '2,${/^#/!q; s/^# \{0,1\}//p}' "$0"; exit 0 ;;
      *) arguments+=("$1"); shift ;;
    esac
  done
}

# bench_binaries TARGET...: unless $bin is set, builds them in the release preset; their folder is then in $bin.
bench_binaries() {
  [ -z "$bin" ] || return 0
  cmake --preset release >/dev/null
  cmake --build --preset release -j "$(nproc)" --target "$@" -- --quiet
  bin=$PWD/build/release/bin
}
