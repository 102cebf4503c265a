#!/usr/bin/env bash
# Four routers share hard budgets in Redis while routers are killed and Redis is restarted and emptied;
# counts what was spent. `--help` says more.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/budget_truth.py" "$@"
