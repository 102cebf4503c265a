#!/usr/bin/env bash
# Takes Redis away from a gateway and a router for half a minute, by SIGKILL, by SIGSTOP and by a failover,
# over redis://, rediss:// and sentinels, and measures what requests feel of it. `--help` says more.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/redis_away.py" "$@"
