#!/usr/bin/env bash
# Builds Penstock, starts the whole platform in one process, sends real images through it and prints
# how much accuracy each joule bought.
#
#   deploy/quickstart.sh                  the report, then stops
#   deploy/quickstart.sh --report FILE    writes the report as JSON too
#   deploy/quickstart.sh --serve          leaves the platform serving on 127.0.0.1:8001 until Ctrl-C, with
#                                         its live page on http://127.0.0.1:8000/
#   deploy/quickstart.sh --serve --observe
#                                         starts Debian's prometheus beside it, with deploy/prometheus's rules
#
# Installs what it needs from Debian's packages (root or sudo), and reads the images from a Python package.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0"; }
report="" serve=false observe=false
while [ $# -gt 0 ]; do
  case "$1" in
    --report)
      [ $# -ge 2 ] || { echo "error: --report wants a file" >&2; exit 2; }
      case "$2" in /*) report=$2 ;; *) report=$here/$2 ;; esac
      shift 2 ;;
    --serve) serve=true; shift ;;
    --observe) observe=true; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done

if $observe; then
  $serve || { echo "error: --observe wants --serve: without it the platform stops after the report" >&2; exit 2; }
  command -v prometheus >/dev/null || {
    echo "error: --observe wants prometheus, which is not installed: apt-get install --no-install-recommends prometheus" >&2
    exit 1
  }
fi

source deploy/packages.sh
mkdir -p build
penstock_install "${PENSTOCK_BUILD_PACKAGES[@]}"

echo "building (a few minutes the first time)"
cuda=OFF
command -v nvcc >/dev/null && nvidia-smi >/dev/null 2>&1 && cuda=ON
cmake --preset release -DPENSTOCK_ENABLE_CUDA=$cuda >build/configure-quickstart.log 2>&1 ||
  { cat build/configure-quickstart.log >&2; exit 1; }
cmake --build build/release -j "$(nproc)" --target penstock -- --quiet

python3 examples/digits/fetch_data.py build/digits

ready=$(mktemp -u)
log=build/quickstart.log
build/release/bin/penstock serve --config examples/digits/platform.yaml --ready_file "$ready" >"$log" 2>&1 &
server=$!
prometheus=""
stop() {
  local process
  for process in $prometheus "$server"; do
    kill -TERM "$process" 2>/dev/null && wait "$process" || true
  done
  rm -f "$ready"
}
trap stop EXIT
for ((i = 0; i < 600; i++)); do
  [ -s "$ready" ] && break
  kill -0 "$server" 2>/dev/null || { echo "error: the platform stopped:" >&2; tail -20 "$log" >&2; exit 1; }
  sleep 0.1
done
[ -s "$ready" ] || { echo "error: not ready within a minute, see $log" >&2; exit 1; }
cat "$ready"

build/release/bin/penstock evaluate --pool digits \
  --inputs build/digits/heldout.images.f32 --labels build/digits/heldout.labels.u8 --dimension 784 \
  --gateway_metrics 127.0.0.1:8002 --expert_metrics 127.0.0.1:8202 ${report:+--report "$report"}

# Scrapes the ports that the services have by default, those of deploy/prometheus/targets/local.yaml.
start_prometheus() {
  local port log=build/prometheus.log
  for port in {9090..9099}; do # Debian's package may run one of its own
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  prometheus --config.file=deploy/prometheus/prometheus.yaml --storage.tsdb.path=build/prometheus \
    --web.listen-address="127.0.0.1:$port" >"$log" 2>&1 &
  prometheus=$!
  for ((i = 0; i < 300; i++)); do
    grep -q 'Server is ready to receive web requests' "$log" && break
    kill -0 "$prometheus" 2>/dev/null || { echo "error: prometheus stopped:" >&2; tail -5 "$log" >&2; exit 1; }
    sleep 0.1
  done
  echo "prometheus on http://127.0.0.1:$port: graphs under /graph, alerts under /alerts (see docs/observability.md)"
}

if $serve; then
  if $observe; then start_prometheus; fi
  page=$(sed -n 's/.* http=\([^ ]*\) .*/\1/p' "$ready")
  if [ "$page" = - ]; then
    echo "no live page: 127.0.0.1:8000 is taken (see $log)"
  else
    echo "live page on http://$page/"
  fi
  echo "serving on 127.0.0.1:8001 (metrics: 8002, 8102, 8202); Ctrl-C stops"
  wait "$server"
fi
