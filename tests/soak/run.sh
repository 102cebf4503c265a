#!/usr/bin/env bash
# Keeps a platform of gateways, routers, experts and Redis under mixed load for a quarter of an hour and
# looks for what grows: memory, file descriptors, threads, series of metrics. `--help` says more.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/soak.py" "$@"
