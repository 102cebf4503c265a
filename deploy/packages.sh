# Sourced by deploy/quickstart.sh and tests/run.sh: what Debian 12 must have, installed where missing.
# penstock_install PACKAGE...  installs those that are absent; needs root or sudo only then.

PENSTOCK_BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config ccache mold git ca-certificates
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev
  prometheus-cpp-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libssl-dev libcjose-dev zlib1g-dev
  libsodium-dev libjemalloc-dev libhnswlib-dev libutf8proc-dev libhiredis-dev libevent-dev
  libbenchmark-dev libgtest-dev libgmock-dev
  python3 python3-venv
)
PENSTOCK_TEST_PACKAGES=(clang libclang-rt-14-dev redis-server redis-sentinel iproute2 nginx curl openssl libb64-0d
  prometheus debootstrap dpkg-dev file chromium fonts-dejavu-core)

penstock_install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "error: missing packages (${missing[*]}) and neither root nor sudo to install them" >&2
      return 1
    }
    root=(sudo)
  fi
  echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
