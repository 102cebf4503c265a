#!/usr/bin/env bash
# What does routing by the text of a request gain over single models, and over what others published?
#
#   bench/routing/run.sh --data DIR [--test DIR] [--json FILE] [--plots DIR] [--sets A,B]
#                        [--contenders A,B] [--jobs N] [--bin DIR]
#
# DIR holds routing/NAME.{prompts.jsonl,scores.csv,out_tokens.csv,answers.csv}[.gz] and
# calibration/model_cards.csv: every set found there is run. Learns on --data and is tried on --test; without
# --test a fixed fifth of --data is kept for that, and the rest is also tried by five folds of questions (`folds`).
# Sets with output lengths are run a second time with every answer cut at 512 tokens, for all contenders alike.
# Contenders: random, cheapest, best, singles (random mixtures of single models: the bar), ridge, knn5, knn10,
# knn40, knn100, mlp, mf, hybrid (pairs), frugal, automix, vote3, oracle, and penstock: what `penstock train`
# makes of the training part. Every call of a cascade or vote is paid for.
# Seeds are fixed: the same data give the same figures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source bench/build.sh
bench_arguments "$@"
status=0
python3 bench/routing/routing_report.py --check "${arguments[@]}" || status=$?
[ "$status" -ne 77 ] || exit 0 # nothing to run: the reason has been printed
[ "$status" -eq 0 ] || exit "$status"
bench_binaries penstock_bench_routing
exec python3 bench/routing/routing_report.py --bin "$bin" "${arguments[@]}"
