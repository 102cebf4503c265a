"""Runs the contenders side by side: see run.sh."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from contenders import STARTERS, Contender, Unavailable, start_expert  # noqa: E402
from machine import print_table, write_report  # noqa: E402

# CPU time of gateway and router, two processes, over that of one Envoy hop.
BOUND = 2.5
COLUMNS = ["hop", "payload_bytes", "concurrency", "p50_us", "p99_us", "cpu_us_per_request",
           "requests_per_second", "foreign_cores"]


class Failed(Exception):
    """A contender that did not answer, and what it said."""


def comma_list(kind):
    return lambda text: [kind(item) for item in text.split(",")]


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--warm_up_seconds", type=float, default=0.5)
    parser.add_argument("--payload_bytes", type=comma_list(int), default=[1024, 65536])
    parser.add_argument("--concurrency", type=comma_list(int), default=[1, 16])
    parser.add_argument("--hops", type=comma_list(str), default=list(STARTERS))
    return parser.parse_args()


def measure(options, contender, others, payload, concurrency):
    command = [str(options.bin / "penstock_bench_path_load"), "--target", contender.target,
               "--payload_bytes", str(payload), "--concurrency", str(concurrency),
               "--seconds", str(options.seconds), "--warm_up_seconds", str(options.warm_up_seconds),
               "--hop_pids", ",".join(map(str, contender.all_pids()))]
    if others:
        command += ["--other_pids", ",".join(map(str, others))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}\n{contender.log()}")
    return json.loads(done.stdout)


def median_row(hop, payload, concurrency, runs):
    row = {"hop": hop, "payload_bytes": payload, "concurrency": concurrency}
    for field in runs[0]:
        row[field] = round(statistics.median(run[field] for run in runs), 2)
    row["cpu_us_per_request_low"] = round(min(run["cpu_us_per_request"] for run in runs), 2)
    row["cpu_us_per_request_high"] = round(max(run["cpu_us_per_request"] for run in runs), 2)
    return row


def ratios_to_envoy(runs):
    """By payload: gateway and router's CPU over Envoy's, round by round: a slow minute meets both."""
    ratios = {}
    for (payload, concurrency, hop), of_cell in runs.items():
        envoy = runs.get((payload, concurrency, "envoy"), [])
        if hop == "penstock" and concurrency == 16 and len(envoy) == len(of_cell):
            ratios[payload] = sorted(ours["cpu_us_per_request"] / theirs["cpu_us_per_request"]
                                     for ours, theirs in zip(of_cell, envoy))
    return ratios


def print_bound(runs):
    for payload, ratios in sorted(ratios_to_envoy(runs).items()):
        ratio = statistics.median(ratios)
        verdict = "holds" if ratio < BOUND else "does NOT hold"
        print(f"{payload} bytes, 16 at once: gateway + router take {ratio:.2f}x the CPU of one Envoy hop "
              f"(median of {len(ratios)} rounds, {ratios[0]:.2f} to {ratios[-1]:.2f}); "
              f"the bound of {BOUND}x {verdict}")


def main():
    options = parse_arguments()
    runs, failures = {}, {}
    with tempfile.TemporaryDirectory(prefix="penstock-path-") as name:
        folder = pathlib.Path(name)
        contenders = {}
        with start_expert(options.bin, folder) as expert:
            try:
                for hop in options.hops:
                    try:
                        contenders[hop] = (Contender(expert.grpc, [], [expert]) if STARTERS[hop] is None
                                           else STARTERS[hop](options.bin, folder, expert.grpc))
                    except Unavailable as why:
                        print(f"skipped: {hop}: {why}", file=sys.stderr)
                # Rounds outermost: a disturbance meets all contenders, not one.
                for _ in range(options.rounds):
                    for payload in options.payload_bytes:
                        for concurrency in options.concurrency:
                            for hop, contender in contenders.items():
                                if hop in failures:
                                    continue
                                others = [] if hop == "direct" else [expert.process.pid]
                                try:
                                    run = measure(options, contender, others, payload, concurrency)
                                except Failed as why:
                                    failures[hop] = str(why)
                                    continue
                                runs.setdefault((payload, concurrency, hop), []).append(run)
            finally:
                for hop, contender in contenders.items():
                    if hop != "direct":
                        contender.stop()
    rows = [median_row(hop, payload, concurrency, of_cell)
            for (payload, concurrency, hop), of_cell in runs.items()]
    print_table(rows, COLUMNS)
    print_bound(runs)
    for hop, why in failures.items():
        print(f"error: {hop} failed: {why}", file=sys.stderr)
    if options.json:
        write_report(options.json, rows, rounds=options.rounds, seconds_per_run=options.seconds)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
