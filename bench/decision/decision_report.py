"""Runs the bench program and reports its rows: see run.sh."""

import argparse
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from machine import print_table, write_report  # noqa: E402

COLUMNS = ["experts", "features", "k", "contender", "p50_us", "p99_us", "decisions_per_second_per_core",
           "allocations"]
# experts, features -> microseconds of the 0.99 quantile, k = 2.
BOUNDS = {(64, 384): 20, (1000, 384): 200, (1000, 0): 20}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    options, more = parser.parse_known_args()
    done = subprocess.run([str(options.bin / "penstock_bench_decision"), *more], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(done.stderr or done.returncode)
    report = json.loads(done.stdout)
    rows = report.pop("rows")
    print_table(rows, COLUMNS)
    for row in rows:
        bound = BOUNDS.get((row["experts"], row["features"]))
        if bound is None or row["k"] != 2 or row["contender"] != "penstock":
            continue
        verdict = "holds" if row["p99_us"] < bound else "does NOT hold"
        print(f"{row['experts']} experts, {row['features']} features: p99 {row['p99_us']:.1f} us; "
              f"the bound of {bound} us {verdict}")
    print(f"reading the clock is {report['clock_us']:.2f} us of every sample")
    if options.json:
        write_report(options.json, rows, **report)


if __name__ == "__main__":
    main()
