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
# The same of the worst block of two seconds. A request waits at most 20 ms for the store (`store_timeout`),
# and few of them do; were it all of a block, its median would tell.
WORST_BLOCK_MS = {"p50": 5.0, "p99": 25.0}
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
# As metrics call the router's store.
ROUTER_STORE = "state"
STORE_CALLS = "penstock_gateway_cache_store_calls_total"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="A gateway whose answers are kept in Redis, and a router whose budgets are there, "
        "answer requests while Redis is killed (SIGKILL), and stands still (SIGSTOP), for 30 s each; "
        "over redis:// and rediss://, and behind sentinels, which make a replica the master. Another "
        "gateway and router without a store get the same requests at the same times, so that what else "
        "the machine does falls out: a phase's figure is the difference of the two (the median over "
        "blocks of two seconds), and what is added is that of the phase less that of all the time with "
        "Redis there, before and after. Beside these medians, which an outage of less than half the phase "
        "does not move, stand the 0.99 quantile over all of the phase and the worst block. Exit code 1 "
        "where a request failed, more than 1 ms was added at a median of blocks or to the 0.99 quantile of "
        "the whole phase, the worst block's median is 5 ms or its 0.99 quantile 25 ms over what it is with "
        "Redis there, gateway or router did not use Redis again without a restart, or a service ended by "
        "itself or not with 0.")
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


def answered_ms(requests, start, end):
    return [request["ms"] for request in requests
            if start <= request["due"] < end and request["code"] == "OK"]


def difference(tested, control, start, end, share):
    """Quantile of the tested chain less that of the other; None where one of them answered nothing."""
    of = [answered_ms(requests, start, end) for requests in (tested, control)]
    return quantile(of[0], share) - quantile(of[1], share) if all(of) else None


def block_differences(tested, control, phase, share):
    """Of each block of the phase."""
    blocks = int((phase.end - phase.start) / BLOCK_S + 1e-6)
    found = [difference(tested, control, phase.start + i * BLOCK_S, phase.start + (i + 1) * BLOCK_S, share)
             for i in range(blocks)]
    return [one for one in found if one is not None]


def store_answers(gateway):
    """Calls that the store has answered."""
    samples = scrape(gateway.metrics)
    return sum(samples.sum(STORE_CALLS, result=result) for result in ("hit", "miss", "written"))


def router_store_answers(router):
    """Calls that the router's store has answered without an error; none while there is no connection."""
    samples = scrape(router.metrics)
    if samples.sum("penstock_store_connected", store=ROUTER_STORE) != 1:
        return 0
    begun, failed, open_ = (samples.sum(f"penstock_store_{what}", store=ROUTER_STORE)
                            for what in ("calls_total", "failures_total", "calls_in_flight"))
    return begun - failed - open_


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
        """Until the store answers gateway and router again; the seconds since `since`."""
        chain = self.pair.tested
        waited = [("gateway", chain.gateway, store_answers)]
        if self.options.router_store:
            waited.append(("router", chain.router, router_store_answers))
        before = {who: answers(service) for who, service, answers in waited}
        while waited:
            for one in list(waited):
                who, service, answers = one
                now = answers(service)
                if not before[who]:
                    before[who] = now  # not connected when the wait began
                elif now > before[who]:
                    waited.remove(one)
                    self.recoveries[f"{what}, by the {who}"] = round(time.time() - since, 2)
            if waited and time.time() - since > patience_s:
                self.wrong += [f"{self.kind}: the {who} did not use the store within {patience_s} s of "
                               f"{what}" for who, _, _ in waited]
                return
            time.sleep(0.05)

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

    def _check(self, row, phase, name, bounds):
        for what, bound in bounds.items():
            value = row[f"{name}_{what}"]
            if phase.away and value >= bound:
                self.wrong.append(f"{row['store']} {phase.name}: {name}_{what} is {value}, wanted less "
                                  f"than {bound}")

    def _figures(self):
        tested, control = (chain.load.requests() for chain in (self.pair.tested, self.pair.control))
        rows = []
        there = {name: [one for phase in self.phases if not phase.away
                        for one in block_differences(tested, control, phase, share)]
                 for name, share in SHARES.items()}
        # Of phases as long as those without Redis, and what else runs there, the middle one.
        whole_there = statistics.median(difference(tested, control, phase.start, phase.end, SHARES["p99"])
                                        for phase in self.phases if not phase.away)
        for phase in self.phases:
            row = {"store": KINDS[self.kind], "phase": phase.name,
                   "seconds": round(phase.end - phase.start, 1)}
            of = [request for request in tested if phase.start <= request["due"] < phase.end]
            row["requests"] = len(of)
            row["failed"] = sum(request["code"] != "OK" for request in of)
            answered = [request["ms"] for request in of if request["code"] == "OK"]
            for name, share in SHARES.items():
                row[f"{name}_ms"] = round(quantile(answered, share), 3)
                blocks = block_differences(tested, control, phase, share)
                row[f"{name}_over_control_ms"] = round(statistics.median(blocks), 3)
                row[f"{name}_added_ms"] = round(statistics.median(blocks)
                                                - statistics.median(there[name]), 3)
                # At the 0.99 quantile, of three requests: what the machine does to the worst block is no
                # less with Redis there.
                usual = statistics.median if name == "p50" else max
                row[f"{name}_worst_block_ms"] = round(max(blocks) - usual(there[name]), 3)
                bounds = {"added_ms": BOUND_MS, "worst_block_ms": WORST_BLOCK_MS[name]}
                self._check(row, phase, name, bounds)
            row["p99_whole_added_ms"] = round(difference(tested, control, phase.start, phase.end,
                                                         SHARES["p99"]) - whole_there, 3)
            self._check(row, phase, "p99", {"whole_added_ms": BOUND_MS})
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
          f"{'worst':>6} {'p99 ms':>7} {'added':>6} {'whole':>6} {'worst':>6}")
    for kind in options.kinds.split(","):
        with Fleet(options.bin, keep_files=options.keep) as fleet:
            run = Run(options, fleet, kind)
            for row in run.run():
                rows.append(row)
                print(f"{row['store']:17} {row['phase']:15} {row['requests']:8d} {row['failed']:6d} "
                      f"{row['p50_ms']:7.2f} {row['p50_added_ms']:6.2f} "
                      f"{row['p50_worst_block_ms']:6.2f} {row['p99_ms']:7.2f} {row['p99_added_ms']:6.2f} "
                      f"{row['p99_whole_added_ms']:6.2f} {row['p99_worst_block_ms']:6.2f}", flush=True)
            recoveries[KINDS[kind]] = run.recoveries
            for what, seconds in run.recoveries.items():
                print(f"{KINDS[kind]:17} used again {seconds} s after {what}")
            # What was taken away on purpose is no service.
            run.wrong += fleet.end()
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
