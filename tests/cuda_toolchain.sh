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
# nvcc looks for its libraries in lib64 beside its own folder; the packages call it lib.
[ -e "$root/lib64" ] || ln -s lib "$root/lib64"
# CMake looks for the shared runtime by its plain name; the packages carry the versioned one only.
[ -e "$root/lib/libcudart.so" ] || ln -s libcudart.so.13 "$root/lib/libcudart.so"
for part in bin include lib64 nvvm; do ln -sfn "$(realpath "$root")/$part" "$dir/$part"; done
chmod +x "$dir"/bin/* "$dir"/nvvm/bin/*
"$dir/bin/nvcc" --version | tail -n 2
