"""Runs the bench program and reports its rows: see run.sh."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from machine import print_table, write_report  # noqa: E402

COLUMNS = ["format", "isa", "rows_per_expert", "rows_over_ridge", "gflops", "gb_per_s", "floor_over_time", "wanted",
           "verdict", "over_onednn", "over_pytorch"]
# Of a CPU's moe_ffn with bfloat16 weights: rows over the ridge up to, floor over time wanted.
GOALS = [(0.5, 0.85), (1.5, 0.75), (7, 0.80), (float("inf"), 0.92)]


# Of route_topk's nanoseconds a row at 256 experts, by instruction set and form.
ROUTE_GOALS = {("avx512", "softmax"): 200, ("avx512", "sigmoid+bias"): 250, ("avx2", "softmax"): 400,
               ("avx2", "sigmoid+bias"): 550}
# How often as fast blocks of tokens are to be, by size of head, from 32 tokens on.
CHUNK_GOALS = {64: 1.05, 128: 1.7}
DENSE_GOAL = 1.15  # sparse_down over the dense product, where a single row has no zeros


def judge(row, value, goal, holds):
    row["ratio"] = f"{value:.2f}"
    if goal is not None:
        row["wanted"] = str(goal)
        row["verdict"] = "holds" if holds else "does NOT hold"


def op_rows(rows, torch):
    """The rows of an op with ratio, goal and verdict; the columns to show. `torch`: PyTorch's of linear_attention."""
    columns = []
    for row in rows:
        if "skipped" in row:
            row["verdict"] = row["skipped"]
        elif row["op"] == "linear_attention":
            per_token = {form: row[f"{form}_seconds"] * 1e9 / (row["tokens"] * row["heads"])
                         for form in ("recurrent", "by_token", "chunkwise")}
            row.update({f"{form}_ns": ns for form, ns in per_token.items()})
            ratio = min(per_token["recurrent"], per_token["by_token"]) / per_token["chunkwise"]
            goal = CHUNK_GOALS.get(row["d"]) if row["tokens"] >= 32 else None
            judge(row, ratio, goal, goal is not None and ratio >= goal)
            columns = ["isa", "d", "tokens", "recurrent_ns", "by_token_ns", "chunkwise_ns", "ratio", "wanted", "verdict"]
            theirs = torch.get((row["d"], row["tokens"]))
            if theirs is not None:
                row["over_torch_loop"] = theirs["by_token_seconds"] / row["chunkwise_seconds"]
                row["over_torch_blocks"] = theirs["seconds"] / row["chunkwise_seconds"]
                columns += ["over_torch_loop", "over_torch_blocks"]
        elif row["op"] == "route_topk":
            goal = ROUTE_GOALS.get((row["isa"], row["form"])) if row["experts"] == 256 else None
            if goal is not None:
                row["wanted"] = str(goal)
                row["verdict"] = "holds" if row["ns_per_row"] <= goal else "does NOT hold"
            columns = ["isa", "form", "experts", "k", "ns_per_row", "wanted", "verdict"]
        else:
            ratio = row["seconds"] / row["dense_seconds"]
            goal = DENSE_GOAL if row["density"] == 1 and row["rows"] == 1 else None
            judge(row, ratio, goal, goal is not None and ratio <= goal)
            row["density"] = str(row["density"])
            row["us"], row["dense_us"] = row["seconds"] * 1e6, row["dense_seconds"] * 1e6
            columns = ["isa", "rows", "density", "us", "dense_us", "ratio", "wanted", "verdict"]
    return columns or ["isa", "verdict"]


def torch_rows(python, script, key, options):
    """What PyTorch's CPU form took, by the key's columns; empty where it does not run."""
    command = [python, str(pathlib.Path(__file__).with_name(script)), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        print(f"PyTorch: not run here: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}")
        return {}
    return {tuple(row[column] for column in key): row for row in json.loads(done.stdout)}


def wanted(row):
    if row["format"] != "bf16":
        return None
    return next(goal for limit, goal in GOALS if row["rows_over_ridge"] <= limit)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--torch", help="a Python that has torch")
    options, more = parser.parse_known_args()
    done = subprocess.run([str(options.bin / "penstock_bench_kernels"), *more], stdout=subprocess.PIPE, text=True,
                          check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        sys.exit(done.returncode)
    report = json.loads(done.stdout)
    rows = report.pop("rows")
    if "flops_per_s" not in report:
        torch = {}
        if options.torch and any(row["op"] == "linear_attention" for row in rows):
            torch = torch_rows(options.torch, "torch_linear_attention.py", ("d", "tokens"), more)
        print_table(rows, op_rows(rows, torch))
        if options.json:
            write_report(options.json, rows)
        return
    contenders = {(row["format"], row["isa"], row["rows_per_expert"]): row["seconds"]
                  for row in rows if "seconds" in row}
    torch = {}
    if options.torch:
        torch = torch_rows(options.torch, "torch_moe.py", ("format", "rows_per_expert"), more)
    for row in rows:
        if "seconds" not in row:
            row["verdict"] = row["skipped"]
            continue
        if "ceiling_isa" not in row:
            continue
        key = (row["format"], row["rows_per_expert"])
        row["gflops"] = row["flops"] / row["seconds"] / 1e9
        row["gb_per_s"] = row["bytes"] / row["seconds"] / 1e9
        row["floor_over_time"] = round(row["floor_over_time"], 3)
        row["rows_over_ridge"] = round(row["rows_over_ridge"], 2)
        goal = wanted(row)
        if goal is not None:
            row["wanted"] = goal
            row["verdict"] = "holds" if row["floor_over_time"] >= goal else "does NOT hold"
        for name, seconds in (("over_onednn", contenders.get((key[0], "onednn", key[1]))),
                              ("over_pytorch", torch.get(key, {}).get("seconds"))):
            if seconds is not None:
                row[name] = round(seconds / row["seconds"], 2)
    ceilings = ", ".join(f"{isa} {flops / 1e9:.0f} GF/s" for isa, flops in report["flops_per_s"].items())
    print(f"one core reads {report['gb_per_s']:.1f} GB/s and does {ceilings}")
    shown = [{**row, "floor_over_time": str(row.get("floor_over_time", "")),
              "rows_over_ridge": str(row.get("rows_over_ridge", "")), "wanted": str(row.get("wanted", "")),
              "over_onednn": str(row.get("over_onednn", "")), "over_pytorch": str(row.get("over_pytorch", ""))}
             for row in rows if row["isa"] != "onednn"]
    print_table(shown, COLUMNS)
    if options.json:
        write_report(options.json, rows, **report)


if __name__ == "__main__":
    main()
