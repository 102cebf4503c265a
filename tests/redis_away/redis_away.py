"""What requests feel of a Redis that goes away for half a minute: see --help."""

import argparse
import json
import math
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from away_platform import MASTER, Pair, write_store  # noqa: E402
from fleet import Fleet, scrape  # noqa: E402

# What going away may add, at the median and at the 0.99 quantile.
BOUND_MS = 1.0
WARM_UP_S = 8
BLOCK_S = 2
SHARES = {"p50": 0.5, "p99": 0.99}
# From its return until the store has answered again: the longest pause between attempts to connect,
# and time to do it.
RECOVERY_S = 5
# Sentinels take a master for dead after a second, agree, and tell the replica.
FAILOVER_S = 20
# What counts as the failover, though requests use the new master before.
SWITCH_S = 10
KINDS = {"plain": "redis://", "tls": "rediss://", "sentinel": "redis+sentinel://"}
STORE_CALLS = "penstock_gateway_cache_store_calls_total"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="A gateway whose answers are kept in Redis, and a router whose budgets are there, "
        "answer requests while Redis is killed (SIGKILL), and stands still (SIGSTOP), for 30 s each; "
        "over redis:// and rediss://, and behind sentinels, which make a replica the master. Another "
        "gateway and router without a store get the same requests at the same times, so that what else "
        "the machine does falls out: a phase's figure is the difference of the two (the median over "
        "blocks of two seconds), and what is added is that of the phase less that of all the time with "
        "Redis there, before and after. Exit code 1 where a request failed, more "
        "than 1 ms was added, or Redis was not used again without a restart.")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"),
                        help="folder of the built binaries")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated: " + ", ".join(KINDS))
    parser.add_argument("--rate", type=float, default=150, help="requests a second to each of both")
    parser.add_argument("--away_s", type=float, default=30)
    parser.add_argument("--there_s", type=float, default=20, help="with Redis there, before and after")
    parser.add_argument("--router_store", action=argparse.BooleanOptionalAction, default=True,
                        help="the router's budgets are in Redis too")
    parser.add_argument("--keep", action="store_true", help="keep logs and the requests' files")
    return parser.parse_args()


def quantile(values, share):
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


class Phase:
    def __init__(self, name, start, end, away):
        self.name, self.start, self.end, self.away = name, start, end, away


def block_differences(tested, control, phase, share):
    """Of each block of the phase: quantile of the tested chain less that of the other."""
    differences = []
    start = phase.start
    while start + BLOCK_S <= phase.end:
        of = [[request["ms"] for request in requests
               if start <= request["due"] < start + BLOCK_S and request["code"] == "OK"]
              for requests in (tested, control)]
        if all(of):
            differences.append(quantile(of[0], share) - quantile(of[1], share))
        start += BLOCK_S
    return differences


def store_answers(gateway):
    """Calls that the store has answered."""
    samples = scrape(gateway.metrics)
    return sum(samples.sum(STORE_CALLS, result=result) for result in ("hit", "miss", "written"))


class Run:
    """One kind of store, taken away and given back."""

    def __init__(self, options, fleet, kind):
        self.options, self.kind = options, kind
        self.fleet = fleet
        self.url, self.server, self.replica, self.sentinels = write_store(fleet, kind)
        joint = "&" if "?" in self.url else "?"
        self.pair = Pair(fleet, f"{self.url}{joint}prefix=away:", options.router_store)
        self.phases = []
        self.recoveries = {}
        self.wrong = []

    def _hold(self, name, seconds, away=False):
        start = time.time()
        time.sleep(seconds)
        self.phases.append(Phase(name, start, time.time(), away))

    def _await_store(self, what, since, patience_s):
        """Until the store answers again; the seconds since `since`."""
        gateway = self.pair.tested.gateway
        before = store_answers(gateway)
        while store_answers(gateway) <= before:
            if time.time() - since > patience_s:
                self.wrong.append(f"{self.kind}: the store was not used within {patience_s} s of {what}")
                return
            time.sleep(0.05)
        self.recoveries[what] = round(time.time() - since, 2)

    def _take_away(self, name, begin, end):
        begin()
        self._hold(name, self.options.away_s, away=True)
        end()
        self._await_store(f"its return ({name})", time.time(), RECOVERY_S)
        self._hold(f"back ({name})", self.options.there_s)

    def _fail_over(self):
        killed = time.time()
        self.server.kill()
        self._await_store("the master's death", killed, FAILOVER_S)
        time.sleep(max(0, killed + SWITCH_S - time.time()))
        self.phases.append(Phase("failover", killed, time.time(), True))
        self._hold("back (failover)", self.options.away_s)
        told = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER).split()
        if told != [self.replica.host, str(self.replica.port)]:
            self.wrong.append(f"sentinels name {told} as the master")
        if self.replica.ask("DBSIZE") == "0":
            self.wrong.append("the replica that was made the master holds nothing")

    def run(self):
        options = self.options
        outages = 1 if self.kind == "sentinel" else 2
        duration_s = (WARM_UP_S + options.there_s + outages * (options.away_s + options.there_s)
                      + outages * RECOVERY_S + FAILOVER_S)
        self.pair.start_loads(options.rate, duration_s)
        time.sleep(WARM_UP_S)
        self._hold("there", options.there_s)
        if self.kind == "sentinel":
            self._fail_over()
        else:
            self._take_away("killed", self.server.kill, self.server.restart)
            self._take_away("stopped", self.server.pause, self.server.go_on)
        for chain in (self.pair.tested, self.pair.control):
            if not chain.load.running():
                raise RuntimeError(f"{chain.load.name} ended before the last phase did")
        return self._figures()

    def _figures(self):
        tested, control = (chain.load.requests() for chain in (self.pair.tested, self.pair.control))
        rows = []
        there = {name: statistics.median(
            difference for phase in self.phases if not phase.away
            for difference in block_differences(tested, control, phase, share))
            for name, share in SHARES.items()}
        for phase in self.phases:
            row = {"store": KINDS[self.kind], "phase": phase.name,
                   "seconds": round(phase.end - phase.start, 1)}
            of = [request for request in tested if phase.start <= request["due"] < phase.end]
            row["requests"] = len(of)
            row["failed"] = sum(request["code"] != "OK" for request in of)
            answered = [request["ms"] for request in of if request["code"] == "OK"]
            for name, share in SHARES.items():
                row[f"{name}_ms"] = round(quantile(answered, share), 3)
                over = statistics.median(block_differences(tested, control, phase, share))
                row[f"{name}_over_control_ms"] = round(over, 3)
                row[f"{name}_added_ms"] = round(over - there[name], 3)
                if phase.away and row[f"{name}_added_ms"] >= BOUND_MS:
                    self.wrong.append(f"{row['store']} {phase.name}: {row[f'{name}_added_ms']} ms added "
                                      f"at the {name}, bound {BOUND_MS} ms")
            rows.append(row)
        for chain, requests in ((self.pair.tested, tested), (self.pair.control, control)):
            failed = [request for request in requests if request["code"] != "OK"]
            if failed:
                self.wrong.append(f"{KINDS[self.kind]}: {len(failed)} requests of {chain.name} failed, "
                                  f"the first with {failed[0]}")
        return rows


def main():
    options = parse_arguments()
    rows, recoveries, wrong = [], {}, []
    print(f"{'store':17} {'phase':15} {'requests':>8} {'failed':>6} {'p50 ms':>7} {'added':>6} "
          f"{'p99 ms':>7} {'added':>6}")
    for kind in options.kinds.split(","):
        with Fleet(options.bin, keep_files=options.keep) as fleet:
            run = Run(options, fleet, kind)
            for row in run.run():
                rows.append(row)
                print(f"{row['store']:17} {row['phase']:15} {row['requests']:8d} {row['failed']:6d} "
                      f"{row['p50_ms']:7.2f} {row['p50_added_ms']:6.2f} {row['p99_ms']:7.2f} "
                      f"{row['p99_added_ms']:6.2f}", flush=True)
            recoveries[KINDS[kind]] = run.recoveries
            for what, seconds in run.recoveries.items():
                print(f"{KINDS[kind]:17} used again {seconds} s after {what}")
            if run.wrong:
                fleet.keep()
            wrong += run.wrong
    print(f"load average {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps(
            {"rows": rows, "recovery_s": recoveries, "wrong": wrong,
             "load_average": os.getloadavg()[0]}, indent=1) + "\n", encoding="utf-8")
    for text in wrong:
        print(f"error: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
