#!/usr/bin/env bash
# venv.sh FOLDER PACKAGE... -- COMMAND...
# Runs COMMAND with the Python of a virtual environment in FOLDER that holds the packages; made once.
# Exit 77 (ctest: skipped) when they cannot be installed, or 1 under CI=true.
set -euo pipefail
folder=$1
shift
packages=()
while [ "$1" != -- ]; do packages+=("$1"); shift; done
shift
stamp="$folder/.installed"
wanted="${packages[*]}"
(
  flock 9
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$folder/venv"
    if ! { python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"; }; then
      echo "skipped: cannot install $wanted"
      [ "${CI:-}" = true ] && exit 1
      exit 77
    fi
    echo "$wanted" >"$stamp"
  fi
) 9>"$folder.lock" || exit $?
exec "$folder/venv/bin/python" "$@"
