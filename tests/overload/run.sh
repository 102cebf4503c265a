#!/usr/bin/env bash
# A platform at three times its capacity: what is answered in time, who gets it, and what waits.
#
#   tests/overload/run.sh [--bin build/release/bin] [--json FILE] [more, see --help]
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/overload.py" "$@"
