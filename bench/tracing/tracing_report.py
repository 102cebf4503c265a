"""Runs the bench program and reports its rows: see run.sh."""

import argparse
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from machine import print_table, write_report  # noqa: E402

COLUMNS = ["service", "tracing", "ns", "allocations"]
BOUND_NS = 50  # of a request where tracing is off, at each service


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    options, more = parser.parse_known_args()
    done = subprocess.run([str(options.bin / "penstock_bench_tracing"), *more], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(done.stderr or done.returncode)
    report = json.loads(done.stdout)
    rows = report.pop("rows")
    print_table(rows, COLUMNS)
    for row in rows:
        if row["tracing"].startswith("off"):
            holds = row["ns"] < BOUND_NS and row["allocations"] == 0
            print(f"{row['service']}, {row['tracing']}: {row['ns']:.1f} ns, {row['allocations']:.0f} allocations; "
                  f"the bound of {BOUND_NS} ns and none {'holds' if holds else 'does NOT hold'}")
    if options.json:
        write_report(options.json, rows, **report)


if __name__ == "__main__":
    main()
