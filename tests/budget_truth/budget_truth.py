"""Whether routers that share budgets keep them, whatever dies: see --help."""

import argparse
import collections
import json
import math
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import Fleet  # noqa: E402
from truth_faults import Burst, Faults, timeline  # noqa: E402
from truth_platform import ROUTERS, Platform, make_pools  # noqa: E402

LOAD_S = 165
BURSTS = 5
BURST_REQUESTS = 60
# All of it has to be in one hour.
WHOLE_S = LOAD_S + 60
IDLE_S = 15
# A router tells ten times a second what it settled: a killed one has not told of this much.
UNTOLD_S = 0.3
# Less than this of the budget spent would show nothing.
LEAST_SPENT = {"HOUR": 0.8, "SECOND": 0.5}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=f"{ROUTERS} routers share hard budgets of requests, joules and dollars, by the second "
        "and by the hour, in Redis. More than 20,000 requests, twice what the budgets allow, come evenly "
        "and in bursts, while routers are killed (SIGKILL) and started again and Redis is restarted, "
        "emptied, and restarted without its file, before the hour's budgets are spent and after. What "
        "was spent is counted by the experts, and by the answers that came. Exit code 1 where that is "
        "more than the cap and what each fault allows beyond it: the leases that were out when Redis "
        "forgot them, what requests in flight take beyond what was reserved, the seconds that Redis was "
        "away times the rate last leased at, and, of a budget by the second, what killed routers could "
        "not tell any more; where something stays reserved when nothing runs; where a request got another "
        "code than OK or RESOURCE_EXHAUSTED, but for those in flight at a router that was killed; or where "
        "a service ended by itself, or not with 0 when it was told to stop.")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"),
                        help="folder of the built binaries")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("--rate", type=float, default=20, help="requests a second, of each of six pools")
    parser.add_argument("--store", default="", help="the routers' store instead of a Redis: with memory:// "
                        "each router has a budget of its own, and the test must fail")
    parser.add_argument("--keep", action="store_true", help="keep logs and the requests' files")
    return parser.parse_args()


def await_hour():
    left = 3600 - time.time() % 3600
    if left > WHOLE_S:
        return
    print(f"the hour ends in {left:.0f} s: waiting for the next", flush=True)
    time.sleep(left + 1)


def most_in_flight(requests):
    changes = sorted([(request["due"], 1) for request in requests]
                     + [(request["ended"], -1) for request in requests])
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def worst_seconds(requests, store_faults):
    """The most answers to requests that came and ended within one second of the clock: while Redis was
    there and remembered, and of the other seconds."""
    seconds = collections.Counter(int(request["due"]) for request in requests
                                  if int(request["due"]) == int(request["ended"]))
    there, disturbed = [0], [0]
    for second, count in seconds.items():
        touched = any(began - 1 <= second <= ended + 1 for began, ended in store_faults)
        (disturbed if touched else there).append(count)
    return max(there), max(disturbed)


def untold(requests, kills):
    """Answers of killed routers that they could not tell of, and what ran there when they were killed."""
    return sum(1 for request in requests for at, address in kills
               if request["target"] == address and request["due"] < at
               and request["ended"] > at - UNTOLD_S)


def failures(requests, kills):
    """Requests that were neither answered nor refused for want of budget, nor in flight at a router when
    that was killed."""
    return [request for request in requests if request["code"] not in ("OK", "RESOURCE_EXHAUSTED")
            and not any(request["target"] == address and request["due"] <= at <= request["ended"]
                        for at, address in kills)]


def judge(pool, spent, requests, faults, wrong):
    """A pool's row of the table."""
    answered = [request for request in requests if request["code"] == "OK"]
    failed = failures(requests, faults.kills)
    if failed:
        wrong.append(f"{pool.name}: {len(failed)} requests failed, the first with {failed[0]}")
    began = min(request["due"] for request in requests)
    seconds = max(request["ended"] for request in requests) - began
    by_second = pool.per == "SECOND"
    cap = pool.amount
    if by_second:
        # Of requests whole seconds of the clock; of others a rate, and one second's credit to begin with.
        cap *= math.ceil(seconds) + 1
    beyond = {
        "leases_emptied": faults.emptied[pool.name],
        "settled_less_reserved": pool.excess * most_in_flight(answered),
        "outage_at_rate": faults.outage[pool.name],
        "untold_by_killed": (pool.unit * untold(requests, faults.kills)
                             if by_second and pool.resource != "REQUESTS" else 0),
    }
    if by_second and pool.resource != "REQUESTS":
        # The credit keeps a rate; leases are of ten minutes of it, more than all of the run.
        beyond["leases_emptied"] = 0
    allowed = cap + sum(beyond.values())
    row = {"pool": pool.name, "requests": len(requests), "answered": len(answered),
           "failed": len(failed),
           "cap": round(cap, 6), "spent_by_experts": round(spent, 6),
           "spent_by_answers": round(len(answered) * pool.unit, 6),
           "spent_share": round(spent / cap, 4),
           **{name: round(value, 6) for name, value in beyond.items()},
           "unsure": round(faults.unsure[pool.name], 6), "allowed": round(allowed, 6),
           "codes": dict(collections.Counter(request["code"] for request in requests))}
    if pool.resource == "REQUESTS" and by_second:
        row["worst_second"], row["worst_disturbed_second"] = worst_seconds(answered,
                                                                           faults.store_faults)
        if row["worst_second"] > pool.amount:
            wrong.append(f"{pool.name}: {row['worst_second']} answers in one second, cap {pool.amount}")
    for name in ("spent_by_experts", "spent_by_answers"):
        if row[name] > allowed * (1 + 1e-9):
            wrong.append(f"{pool.name}: {name} {row[name]}, of {row['allowed']} allowed")
    if spent < LEAST_SPENT[pool.per] * cap:
        wrong.append(f"{pool.name}: only {row['spent_share']} of the budget was spent")
    return row


def show(rows):
    print(f"{'pool':16} {'requests':>8} {'cap':>9} {'experts':>9} {'answers':>9} {'of cap':>6} "
          f"{'leases':>7} {'settled':>7} {'outage':>7} {'untold':>7} {'allowed':>9}")
    for row in rows:
        print(f"{row['pool']:16} {row['requests']:8d} {row['cap']:9.2f} {row['spent_by_experts']:9.2f} "
              f"{row['spent_by_answers']:9.2f} {row['spent_share']:6.3f} {row['leases_emptied']:7.2f} "
              f"{row['settled_less_reserved']:7.2f} {row['outage_at_rate']:7.2f} "
              f"{row['untold_by_killed']:7.2f} {row['allowed']:9.2f}"
              + (f"  worst second {row['worst_second']}" if "worst_second" in row else ""))


def run(options, fleet, wrong):
    pools = make_pools(options.rate, options.rate * LOAD_S + BURSTS * BURST_REQUESTS)
    await_hour()
    platform = Platform(fleet, pools, options.store)
    before = platform.spent()
    faults, burst = Faults(platform), Burst(platform, BURST_REQUESTS)
    steady = [(pool, platform.start_load(pool, name="steady", rate=options.rate, duration_s=LOAD_S,
                                         seed=number + 1)) for number, pool in enumerate(pools)]
    for _, load in steady:
        load.await_first()
    began = time.monotonic()
    for at, act in timeline(faults, burst):
        time.sleep(max(0, began + at - time.monotonic()))
        act()
    loads = steady + burst.loads
    for _, load in loads:
        load.result()
    after = platform.spent()
    idle = time.monotonic()
    while any(platform.reserved().values()) and time.monotonic() - idle < IDLE_S:
        time.sleep(0.2)
    reserved = platform.reserved()
    for name, amount in reserved.items():
        if amount != 0:
            wrong.append(f"{name}: {amount} reserved {IDLE_S} s after the last request")
    rows = []
    for pool in pools:
        requests = [request for of, load in loads if of is pool for request in load.requests()]
        rows.append(judge(pool, after[pool.name] - before[pool.name], requests, faults, wrong))
    total = sum(row["requests"] for row in rows)
    if total < 20_000 and options.rate >= 20:
        wrong.append(f"only {total} requests were sent")
    wrong += faults.wrong
    wrong += fleet.end()
    return rows, reserved, faults


def main():
    options = parse_arguments()
    wrong = []
    with Fleet(options.bin, keep_files=options.keep) as fleet:
        rows, reserved, faults = run(options, fleet, wrong)
        if wrong:
            fleet.keep()
    show(rows)
    print(f"{sum(row['requests'] for row in rows)} requests; Redis away for {faults.outage_s:.1f} s; "
          f"{len(faults.kills)} routers killed; reserved at the end: {sum(reserved.values())}; "
          f"load average {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps(
            {"rows": rows, "reserved_at_idle": reserved, "outage_s": round(faults.outage_s, 1),
             "faults": faults.log, "wrong": wrong, "load_average": os.getloadavg()[0]},
            indent=1) + "\n", encoding="utf-8")
    for text in wrong:
        print(f"error: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
