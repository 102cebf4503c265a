#!/usr/bin/env bash
# What does it take to read a prompt, and to say of every expert how likely it is right and how long its
# answer will be?
#
#   bench/features/run.sh [--json FILE] [--bin DIR] [--bytes A,B] [--experts N] [--prompts N] [--rounds N]
#
# Contenders: `penstock` (features and model, as a request runs them), its parts `extract` and `predict`,
# `embed` (the mean of static token embeddings, 29,528 tokens in 256 dimensions) and its part `tokenize`,
# `reference` (strings, a map and double precision: what the others are checked against first) and
# `memory_pass` (the floor: as many bytes read once, in order). One core, warm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bench_arguments "$@"
bench_binaries penstock_bench_features
exec python3 bench/features/features_report.py --bin "$bin" "${arguments[@]}"
