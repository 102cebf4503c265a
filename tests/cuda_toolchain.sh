#!/usr/bin/env bash
# cuda_toolchain.sh DIR: puts nvcc together in DIR from NVIDIA's Python packages, for machines without a
# CUDA toolkit. Nothing is installed outside DIR.
set -euo pipefail
dir=$1
[ -x "$dir/bin/nvcc" ] && exit 0
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cccl==13.0.*' 'nvidia-nvvm==13.0.*'
root=$(find "$dir/venv" -type d -path '*/nvidia/cu13' | head -n 1)
[ -n "$root" ] || { echo "error: the packages hold no nvidia/cu13 folder" >&2; exit 1; }
for part in "$root"/*; do ln -sfn "$(realpath "$part")" "$dir/$(basename "$part")"; done
[ -e "$dir/lib64" ] || ln -sfn lib "$dir/lib64"
# The wheels carry only the versioned shared runtime; CMake looks for the plain names.
chmod +x "$dir"/bin/* "$dir"/nvvm/bin/* 2>/dev/null || true
"$dir/bin/nvcc" --version | tail -n 2
