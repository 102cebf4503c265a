"""A platform at three times its capacity: see run.sh."""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import Fleet, cpus, scrape  # noqa: E402
from overload_platform import Platform  # noqa: E402
from phase import run  # noqa: E402

# Of capacity, one after the other: the peak is the most that is answered in time.
RAMP = (0.6, 0.8, 0.9, 1.0, 1.1)
LARGEST_CAPACITY = 300
# Until what the last stretch left has gone.
SETTLE_S = 1
# What the page of the figures promises.
LEAST_GOODPUT, LEAST_SHARE, MOST_CPU, MOST_GROWTH = 0.9, 0.99, 0.1, 0.03
# Fewer than would wait, so that the queue is full.
SHORT_QUEUE = 32
SHORT_QUEUE_S = 15


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="An expert that serves slots / hold requests a second behind a router and a gateway "
        "with its defaults. First the peak of what is answered in time is measured, then two tenants ask "
        "for three times that: one floods, the other asks for a tenth of the peak. Then the same meets a "
        f"gateway whose queue takes {SHORT_QUEUE}. Beside it, and without "
        "bounds: the same without the adaptive limit, a flood on a gateway that has seen no load, and "
        "what the limit costs a platform that is well. Exit code 1 when a bound is broken, or a service "
        "ended by itself or not with 0.")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"),
                        help="folder of the built binaries")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("--slots", type=int, default=10, help="requests the expert serves at once")
    parser.add_argument("--hold_ms", type=float, default=50, help="for how long each")
    parser.add_argument("--deadline_ms", type=float, default=500, help="of every request")
    parser.add_argument("--overload", type=float, default=3, help="times the peak")
    parser.add_argument("--behaved", type=float, default=0.1, help="of the peak, by the one who behaves")
    parser.add_argument("--seconds", type=float, default=60, help="of overload")
    parser.add_argument("--ramp_s", type=float, default=8, help="at each rate of the ramp")
    parser.add_argument("--only_bounds", action="store_true", help="leave out what has no bound")
    parser.add_argument("--keep", action="store_true", help="keep logs and the requests' files")
    return parser.parse_args()


def row(phase, figures, **more):
    """One line of the figures."""
    told = {"phase": phase, "seconds": figures.seconds, "goodput": figures.goodput(), **more,
            "accepted_p50_ms": finite(figures.quantile_ms(0.5)),
            "accepted_p99_ms": finite(figures.quantile_ms(0.99)),
            "accepted_missed_share": figures.missed_share(),
            "most_queued": figures.most_queued, "most_in_flight": figures.most_in_flight,
            "most_at_expert": figures.most_at_expert, "limit_last": figures.looks[-1].limit,
            "sheds": figures.sheds, "load_average": figures.load_average}
    for name, tenant in figures.tenants.items():
        told[f"{name}_asked"] = tenant.asked
        told[f"{name}_in_time"] = tenant.in_time
        told[f"{name}_share"] = tenant.share
        told[f"{name}_codes"] = tenant.codes
    for name, seconds in figures.cpu_seconds.items():
        told[f"{name}_cpu_s"] = seconds
    for name in figures.memory:
        told[f"{name}_mib"] = [round(figures.memory_mib(name, share), 1) for share in (0, 0.5, 1)]
    return told


def finite(value):
    return None if value == float("inf") else value


def print_row(told):
    print(f"-- {told['phase']}: {told['goodput']:.1f} answered in time a second, accepted p50 "
          f"{told['accepted_p50_ms'] or float('nan'):.0f} ms, p99 "
          f"{told['accepted_p99_ms'] or float('inf'):.0f} ms, missed "
          f"{100 * told['accepted_missed_share']:.2f} %, load average {told['load_average']:.1f}")
    for tenant in ("behaved", "flood"):
        if f"{tenant}_asked" in told:
            print(f"   {tenant}: {told[f'{tenant}_in_time']} of {told[f'{tenant}_asked']} in time "
                  f"({100 * told[f'{tenant}_share']:.2f} %), {told[f'{tenant}_codes']}")
    print(f"   most queued {told['most_queued']:.0f}, in flight {told['most_in_flight']:.0f}, limit "
          f"{told['limit_last']:.0f}, sheds {told['sheds']}", flush=True)


class Overload:
    def __init__(self, options):
        self.options = options
        self.rows, self.broken = [], []

    def stretch(self, phase, platform, rates, seconds, **more):
        figures = run(platform, rates, seconds=seconds, deadline_ms=self.options.deadline_ms,
                      seed=len(self.rows) + 1, **more)
        told = row(phase, figures, **{f"{name}_rate": rate for name, rate in rates.items()})
        self.rows.append(told)
        print_row(told)
        return figures

    def platform(self, fleet, **more):
        return Platform(fleet, slots=self.options.slots, hold_ms=self.options.hold_ms, **more)

    def check(self, holds, text):
        print(f"{'holds ' if holds else 'BROKEN'} {text}", flush=True)
        if not holds:
            self.broken.append(text)

    def bounds(self, fleet):
        options = self.options
        platform = self.platform(fleet)
        nominal = 1000 * options.slots / options.hold_ms
        ramp = [self.stretch(f"ramp {share}", platform, {"flood": share * nominal}, options.ramp_s,
                             skip_s=min(2, options.ramp_s / 4)) for share in RAMP]
        peak = max(figures.goodput() for figures in ramp)
        # At full load and hardly a refusal: what an answered request takes of the gateway's CPU.
        full = ramp[RAMP.index(1.0)]
        cpu_per_answer = full.cpu_seconds["gateway"] / (full.goodput() * options.ramp_s)

        rates = {"flood": (options.overload - options.behaved) * peak, "behaved": options.behaved * peak}
        over = self.stretch("overload", platform, rates, options.seconds)
        answered = sum(tenant.in_time for tenant in over.tenants.values())
        refusals_cpu = max(0, over.cpu_seconds["gateway"] - answered * cpu_per_answer)
        cpu = (over.cpu_seconds["generator"] + refusals_cpu) / (options.seconds * cpus())
        self.rows[-1].update(peak=peak, refusals_cpu_s=refusals_cpu, generator_and_refusals_cpu=cpu)

        self.check(peak <= LARGEST_CAPACITY, f"capacity at most {LARGEST_CAPACITY}/s: {peak:.1f}")
        self.check(cpu < MOST_CPU, f"generator and refusals below {MOST_CPU:.0%} of the CPU: {cpu:.1%}")
        share = over.goodput() / peak
        self.check(share >= LEAST_GOODPUT,
                   f"goodput at least {LEAST_GOODPUT:.0%} of the peak: {share:.1%}")
        p99 = over.quantile_ms(0.99)
        self.check(p99 <= options.deadline_ms,
                   f"p99 of the accepted within {options.deadline_ms:.0f} ms: {p99:.0f} ms")
        behaved = over.tenants["behaved"].share
        self.check(behaved >= LEAST_SHARE,
                   f"who behaves gets at least {LEAST_SHARE:.0%} of what it asks: {behaved:.2%}")
        in_flight, limit = over.furthest_over_limit(options.deadline_ms / 1000)
        self.check(in_flight <= limit, "in flight within the limit at every look; where it was nearest or "
                   f"furthest over: {in_flight:.0f}, limit {limit:.0f}")
        for name in over.memory:
            middle, last = over.memory_mib(name, 0.5), over.memory_mib(name, 1)
            self.check(last <= (1 + MOST_GROWTH) * middle,
                       f"{name}'s memory flat within {MOST_GROWTH:.0%}: {over.memory_mib(name, 0):.1f}, "
                       f"{middle:.1f}, {last:.1f} MiB at start, middle and end")
        self.stop(platform)
        self.short_queue(fleet, rates)
        return peak

    def short_queue(self, fleet, rates):
        platform = self.platform(fleet, admission={"max_queue": SHORT_QUEUE})
        full = self.stretch(f"a queue of {SHORT_QUEUE}", platform, rates, SHORT_QUEUE_S)
        self.check(full.most_queued <= SHORT_QUEUE,
                   f"queue within {SHORT_QUEUE}: {full.most_queued:.0f}")
        turned_away = sum(full.sheds.get(reason, 0) for reason in ("queue_full", "pushed_out"))
        self.check(turned_away > 0, f"the queue was full: {turned_away:.0f} had no room in it")
        self.stop(platform)

    def stop(self, platform):
        """Services that ended by themselves, or not with 0, break a bound too."""
        wrong = platform.stop()
        for text in wrong:
            print(f"error: {text}", flush=True)
        self.broken += wrong

    def beside(self, fleet, peak):
        """What has no bound: contrast, and what the limit costs."""
        options = self.options
        rates = {"flood": (options.overload - options.behaved) * peak, "behaved": options.behaved * peak}
        platform = self.platform(fleet)
        self.stretch("first load ever, first 3 s", platform, rates, 3)
        self.stretch("first load ever, then", platform, rates, 15)
        self.stop(platform)
        platform = self.platform(fleet, admission={"adaptive": False})
        self.stretch("without the adaptive limit", platform, rates, 15)
        self.stop(platform)
        # No slots, no hold: as much as this machine's cores do.
        wells = {adaptive: self.platform(fleet, admission={"adaptive": adaptive}, fault=False)
                 for adaptive in (True, False)}
        rates = {adaptive: [] for adaptive in wells}
        for turn in range(6):
            adaptive = turn % 2 == 0
            load = wells[adaptive].load("flood", deadline_ms=options.deadline_ms, concurrency=64,
                                        duration_s=4, seed=turn)
            rates[adaptive].append(load.result()["requests_per_second"])
        gateway = scrape(wells[True].gateway.metrics)
        for well in wells.values():
            self.stop(well)
        told = {"phase": "a platform that is well, 64 at a time", "with_limit": rates[True],
                "without": rates[False],
                "limit": gateway.max("penstock_gateway_concurrency_limit") or "as it was"}
        self.rows.append(told)
        print(f"-- {told['phase']}: {[round(rate) for rate in rates[True]]} a second with the limit, "
              f"{[round(rate) for rate in rates[False]]} without; the limit: {told['limit']}")


def main():
    options = parse_arguments()
    overload = Overload(options)
    with Fleet(options.bin, keep_files=options.keep) as fleet:
        peak = overload.bounds(fleet)
        if not options.only_bounds:
            overload.beside(fleet, peak)
        if overload.broken:
            fleet.keep()
    if options.json:
        options.json.write_text(json.dumps({"command": " ".join(sys.argv), "rows": overload.rows,
                                            "broken": overload.broken}, indent=1), encoding="utf-8")
    print(f"{len(overload.broken)} bounds broken" if overload.broken else "all bounds hold")
    return 1 if overload.broken else 0


if __name__ == "__main__":
    sys.exit(main())
