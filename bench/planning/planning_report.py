"""Runs penstock_bench_planning and prints its figures as tables."""

import argparse
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import machine  # noqa: E402


def worst(rows, key):
    return max(row[key] for row in rows)


def show(result):
    hard = result["hard_instance"]
    print(f"hard instance (24 equal-cost specialists, room for 6), {len(hard)} seeds, 200 ms:")
    print(f"  gap {worst(hard, 'gap_percent'):.2f} % at worst, {worst(hard, 'ms'):.0f} ms at worst,"
          f" {sum(row['end'] == 'proven' for row in hard)} proven")
    if "skipped" in result:
        print("skipped:", result["skipped"])
        return
    real = result["mmlupro_24_experts"]
    print(f"mmlupro, {real[0]['of']} experts, 2,048 requests, {len(real)} plans:")
    for values in ("responsibility", "quality"):
        for semantics in ("ensemble", "pool"):
            rows = [row for row in real if row["values"] == values and row["semantics"] == semantics]
            times = sorted(row["ms"] for row in rows)
            print(f"  {values:14} {semantics:8}  median {times[len(times) // 2]:6.1f} ms  most {times[-1]:6.1f} ms"
                  f"  (CPU most {worst(rows, 'cpu_ms'):.1f} ms)"
                  f"  gap {worst(rows, 'gap_percent'):.3f} %")
    print("who is awake (mmlupro; 12 instruction models, then base models too):")
    print("  idle W  req/s   watts     awake  score   all awake  points  gap %     ms")
    for row in result["awake"]:
        if "error" in row:
            print("  ", row["error"])
            continue
        print(f"  {row['idle_watts_each']:6.0f} {row['requests_per_s']:6.0f} {row['watts']:7.0f}  {len(row['awake']):5d}/{row['models']}"
              f"  {row['score']:.4f}     {row['all_score']:.4f}  {row['points_won']:+6.2f}  {row['gap_percent']:5.2f}"
              f"  {row['ms']:6.0f}  {row['says'].split(':')[0]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--data", default="")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    command = [str(pathlib.Path(arguments.bin) / "penstock_bench_planning")]
    if arguments.data:
        command += ["--data", arguments.data]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    show(result)
    if arguments.json:
        rows = [{"case": case, **row} for case, list_ in result.items() if isinstance(list_, list) for row in list_]
        machine.write_report(arguments.json, rows, skipped=result.get("skipped"))


if __name__ == "__main__":
    main()
