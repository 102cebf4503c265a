#!/usr/bin/env bash
# Puts requests on two gateways, two routers and three experts with two replicas each, with Redis behind
# them, while every part is killed, stopped, paused and cut off in turn. `--help` says more.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/chaos.py" "$@"
