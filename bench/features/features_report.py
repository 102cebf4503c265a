"""Runs the bench program and reports its rows: see run.sh."""

import argparse
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from machine import print_table, write_report  # noqa: E402

COLUMNS = ["prompt_bytes", "entries", "tokens", "outputs", "contender", "p50_us", "p99_us", "times_memory_pass"]
BOUND_US = 60  # of 2 kB, the median: features and 24 outputs, and an embedding


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    options, more = parser.parse_known_args()
    done = subprocess.run([str(options.bin / "penstock_bench_features"), *more], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(done.stderr or done.returncode)
    report = json.loads(done.stdout)
    rows = report.pop("rows")
    floor = {row["prompt_bytes"]: row["p50_us"] for row in rows if row["contender"] == "memory_pass"}
    for row in rows:
        row["times_memory_pass"] = round(row["p50_us"] / floor[row["prompt_bytes"]], 1)
    print_table(rows, COLUMNS)
    for row in rows:
        if (row["prompt_bytes"], row["outputs"], row["contender"]) == (2048, 24, "penstock"):
            verdict = "holds" if row["p50_us"] < BOUND_US else "does NOT hold"
            print(f"2 kB, 24 outputs: {row['p50_us']:.1f} us; the bound of {BOUND_US} us {verdict}")
        if (row["prompt_bytes"], row["contender"]) == (2048, "embed"):
            verdict = "holds" if row["p50_us"] < BOUND_US else "does NOT hold"
            print(f"2 kB, embedding: {row['p50_us']:.1f} us; the bound of {BOUND_US} us {verdict}")
    if options.json:
        write_report(options.json, rows, **report)


if __name__ == "__main__":
    main()
