"""Faults of every kind while requests flow: see run.sh."""

import argparse
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from chaos_platform import DEADLINE_S, POOLS, Platform  # noqa: E402
from faults import all_faults  # noqa: E402
from figures import Requests, figures  # noqa: E402
from fleet import Fleet, Unavailable, read_requests, scrape  # noqa: E402

SKIPPED = 77
# Until latencies are known and generators are at their pace.
WARM_UP_S = 10
# What is asked of a run that counts: requests/s, seconds of load, faults of each kind.
LEAST_RATE, LEAST_SECONDS, LEAST_ROUNDS = 300, 240, 3


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Two gateways, two routers, three experts with two replicas each and a redis-server, "
        "each kind in network namespaces of its own, under open-loop load with a deadline of 2 s, while "
        "one of them after the other is killed, stopped, paused, filled or cut off, and comes back. "
        "Exit code 1 when an accepted request failed (but for those in flight at a gateway that was "
        "killed, which are counted), a gateway refused what the other one answered, a process ended that "
        "nobody ended, or one that was told to stop did not end with 0; 77 where the machine has no "
        "network namespaces.")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"),
                        help="folder of the built binaries")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("--rate", type=float, default=320, help="requests a second, all pools together")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="how often each fault")
    parser.add_argument("--fault_s", type=float, default=3, help="how long a fault lasts")
    parser.add_argument("--recovery_s", type=float, default=4, help="from its end to the next fault")
    parser.add_argument("--only", default="", help="comma-separated: faults whose kind holds one of these")
    parser.add_argument("--router_store", action=argparse.BooleanOptionalAction, default=True,
                        help="routers keep a budget in Redis too")
    parser.add_argument("--keep", action="store_true", help="keep logs and the requests' files")
    return parser.parse_args()


class Chaos:
    """One run: schedule, timeline, and what came of it."""

    def __init__(self, options, platform):
        self.options, self.platform = options, platform
        words = [word for word in options.only.split(",") if word]
        self.faults = [fault for fault in all_faults(platform, options.rounds)
                       if not words or any(word in fault.kind for word in words)]
        self.slot_s = options.fault_s + options.recovery_s
        self.duration_s = WARM_UP_S + len(self.faults) * self.slot_s + 2 * DEADLINE_S
        self.requests = Requests()
        self.retries = []  # what clients asked the other gateway too
        self.offsets = {}
        self.kills = []  # (address of a gateway, when)
        self.slots = []  # (fault, begun, ended, next)
        self.rows = []

    def run(self):
        self.loads = self.platform.start_loads(self.options.rate, self.duration_s)
        for load in self.loads:
            load.await_first()
        self.started = time.time()
        self._sleep_until(self.started + WARM_UP_S)
        print(f"{'second':>7} {'fault':14} {'of':18} {'requests':>8} {'failed':>6} {'elsewhere':>9} "
              f"{'p50 ms':>7} {'p99 ms':>7} {'max ms':>7} {'p99 after':>9}", flush=True)
        for i, fault in enumerate(self.faults):
            due = self.started + WARM_UP_S + i * self.slot_s
            self._sleep_until(due)
            begun = time.time()
            if fault.kills:
                self.kills.append((fault.kills, begun))
            fault.begin()
            self._sleep_until(due + self.options.fault_s)
            self._tell_the_last_slot()
            fault.end()
            ended = time.time()
            self.slots.append((fault, begun, ended, due + self.slot_s))
            if ended > due + self.slot_s:
                raise RuntimeError(f"{fault.kind} {fault.target}: came back only after "
                                   f"{ended - due - self.options.fault_s:.1f} s")
        results = [load.result(DEADLINE_S + 60) for load in self.loads]
        self._tell_the_last_slot()
        return results

    @staticmethod
    def _sleep_until(when):
        time.sleep(max(0, when - time.time()))

    def _read(self):
        fresh = []
        for load in self.loads:
            lines, self.offsets[load.name] = read_requests(load.requests_path,
                                                           self.offsets.get(load.name, 0))
            pool = load.name.removeprefix("load-")
            fresh += [dict(line, pool=pool) for line in lines if "due" in line]
            self.retries += [line for line in lines if "retried" in line]
        self.requests.add(fresh)

    def _tell_the_last_slot(self):
        """Once its last requests have had their time."""
        if len(self.slots) == len(self.rows):
            return
        self._read()
        fault, begun, ended, following = self.slots[len(self.rows)]
        during = figures(self.requests.between(begun, ended), self.kills)
        after = figures(self.requests.between(ended, following), self.kills)
        failed = during.failed + after.failed
        elsewhere = [retry["retried"] for retry in self.retries if begun <= retry["at"] < following]
        row = {"second": round(begun - self.started, 1), "fault": fault.kind, "of": fault.target,
               "seconds": round(ended - begun, 2), "requests": during.requests + after.requests,
               "failed": len(failed),
               "lost_on_killed_gateway": len(during.on_killed_gateway + after.on_killed_gateway),
               "refused": len(during.refused + after.refused),
               "asked_the_other_gateway": len(elsewhere),
               # Of those: a gateway that lived did not do its part, though the other one did.
               "masked": 0 if "gateway" in fault.kind else
               sum(why != "silent" for why in elsewhere), "p50_ms": during.p50_ms,
               "p99_ms": during.p99_ms, "max_ms": max(during.max_ms, after.max_ms),
               "p99_after_ms": after.p99_ms}
        self.rows.append(row)
        print(f"{row['second']:7.1f} {row['fault']:14} {row['of']:18} {row['requests']:8d} "
              f"{row['failed']:6d} {row['asked_the_other_gateway']:9d} {row['p50_ms']:7.1f} "
              f"{row['p99_ms']:7.1f} {row['max_ms']:7.1f} {row['p99_after_ms']:9.1f}", flush=True)
        for request in (failed + during.refused + after.refused)[:8]:
            print(f"        {request['pool']} at {request['due'] - self.started:.3f} s, "
                  f"{request['ms']:.0f} ms, {request['target'] or 'nobody'}: {request['code']} "
                  f"{request.get('message', '')}", flush=True)


def by_kind(chaos):
    """p99 over all faults of a kind, while they last."""
    kinds = {}
    for fault, begun, ended, _ in chaos.slots:
        kinds.setdefault(fault.kind, []).extend(chaos.requests.between(begun, ended))
    return {kind: figures(requests).p99_ms for kind, requests in kinds.items()}


def totals(options, chaos, results):
    everything = chaos.requests.between(0, float("inf"))
    whole = figures(everything, chaos.kills)
    first = chaos.slots[0][1]
    quiet = figures(chaos.requests.between(first - WARM_UP_S / 2, first))
    during = figures([request for _, begun, ended, _ in chaos.slots
                      for request in chaos.requests.between(begun, ended)])
    cached = {}
    for gateway in chaos.platform.gateways:
        samples = scrape(gateway.metrics).each("penstock_gateway_cache_requests_total")
        for labels, value in samples:
            cached[labels["source"]] = cached.get(labels["source"], 0) + value
    return {
        "faults": len(chaos.slots), "rounds": options.rounds,
        "seconds": round(chaos.duration_s, 1), "requests": whole.requests,
        "requests_per_second": round(whole.requests / chaos.duration_s, 1),
        "failed": len(whole.failed), "lost_on_killed_gateway": len(whole.on_killed_gateway),
        "refused": len(whole.refused),
        "asked_the_other_gateway": sum(result["retried"] for result in results),
        "masked": sum(row["masked"] for row in chaos.rows),
        "p50_ms": whole.p50_ms, "p99_ms": whole.p99_ms, "p99_before_ms": quiet.p99_ms,
        "p99_during_faults_ms": during.p99_ms, "max_ms": whole.max_ms,
        "p99_by_fault_ms": by_kind(chaos), "cache_since_last_restart": cached,
        "load_average": os.getloadavg()[0],
    }


def judge(options, summary, ended):
    """What was promised and does not hold."""
    wrong = []
    if summary["failed"]:
        wrong.append(f"{summary['failed']} accepted requests failed")
    if summary["refused"]:
        wrong.append(f"{summary['refused']} requests were refused")
    if summary["masked"]:
        wrong.append(f"{summary['masked']} requests were refused by a gateway that lived, and answered "
                     "only since the client asked the other one")
    wrong += ended
    if not options.only and (summary["requests_per_second"] < LEAST_RATE
                             or summary["seconds"] < LEAST_SECONDS
                             or options.rounds < LEAST_ROUNDS):
        wrong.append(f"not the load that counts: wanted {LEAST_RATE} requests/s for {LEAST_SECONDS} s "
                     f"and every fault {LEAST_ROUNDS} times")
    return wrong


def main():
    options = parse_arguments()
    with Fleet(options.bin, keep_files=options.keep) as fleet:
        try:
            platform = Platform(fleet, options.router_store)
        except Unavailable as why:
            print(f"skipped: {why}")
            return SKIPPED
        chaos = Chaos(options, platform)
        print(f"{len(chaos.faults)} faults in {chaos.duration_s:.0f} s of {options.rate:g} requests/s to "
              f"the pools {', '.join(POOLS)}")
        results = chaos.run()
        summary = totals(options, chaos, results)
        wrong = judge(options, summary, fleet.end())
        print(json.dumps(summary, indent=1))
        if options.json:
            options.json.write_text(json.dumps({**summary, "timeline": chaos.rows, "wrong": wrong},
                                               indent=1) + "\n", encoding="utf-8")
        for text in wrong:
            print(f"error: {text}")
        if wrong:
            fleet.keep()
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
