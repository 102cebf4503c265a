"""Minutes of mixed load, and what grows: see run.sh."""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet import Fleet, scrape, usage_of  # noqa: E402
from growth import Sample, make_row  # noqa: E402
from soak_platform import Platform  # noqa: E402

SAMPLE_S = 5
RELOAD_S = 15
VISIT_S = 5
TRAFFIC_S = 60
BURST, BURST_SHARE = 3, 0.25  # of the rate, and of the warm-up
# Of the wrong requests' rate, in the warm-up: it has to meet what the longer window will.
WRONG_BURST = 10
# Without clients, until nothing changes any more.
QUIET_LOOKS, QUIET_PATIENCE_S = 5, 60
MOST_GROWTH = 0.03
# Codes and pools that nobody had met before are new series.
MOST_SERIES = 0.05


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Two gateways, two routers with decision logs, two expert services and a redis-server, "
        "under well-behaved load of pools of several kinds (cache hits and misses among them), clients that "
        "come and go, streams, explanations, calls that are cancelled, requests of every RPC that are wrong "
        "in many ways, listeners to decisions, scrapes of the metrics, and a service that gets another "
        "configuration every 15 s, which it must take. The warm-up begins at three times the rate, and its wrong requests come at ten times theirs throughout: codes that a pool has not met yet are series. After it, a line fitted to each process's "
        "resident memory may rise by 3 % over the window; file descriptors and threads, counted without clients when the window "
        "begins and when it is over, must be the same; series of metrics may become 5 % more. Bounded "
        "structures have small bounds, so that they are full by then: 500 decisions in memory and 4 MiB on "
        "disk, 200 kB of answers that a gateway keeps, 8 MiB of Redis. Exit code 1 when a bound is broken, "
        "a well-behaved request failed, a wrong one got no status, a service refused a configuration or was "
        "given none (a run of two minutes reaches each), or a process ended.")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"),
                        help="folder of the built binaries")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures and all samples")
    parser.add_argument("--minutes", type=float, default=15, help="warm-up and window together")
    parser.add_argument("--warm_up_minutes", type=float, default=4)
    parser.add_argument("--rate", type=float, default=100, help="well-behaved requests a second")
    parser.add_argument("--wrong_rate", type=float, default=30, help="wrong and odd requests a second")
    parser.add_argument("--keep", action="store_true", help="keep logs and configurations")
    return parser.parse_args()


class Soak:
    def __init__(self, options, platform):
        self.options, self.platform = options, platform
        self.problems = []
        self.requests = {"scheduled": 0, "answered": 0, "wrong_runs": 0, "visits": 0}
        self.began = time.monotonic()
        self.seed = 0
        self.next_reload = None
        self.reloads = {}

    def sample(self):
        """A Sample of each process by its name; a problem where one has ended."""
        samples = {}
        for process in self.platform.processes():
            try:
                usage = usage_of(process.pid)
                series = scrape(process.metrics).children() if hasattr(process, "metrics") else {}
            except (ProcessLookupError, OSError) as why:
                raise RuntimeError(f"{process.name} is gone: {why}\n{process.log_end()}") from None
            samples[process.name] = Sample(
                at=time.monotonic() - self.began, resident=usage.resident_bytes,
                anonymous=usage.anonymous_bytes, descriptors=usage.descriptors, threads=usage.threads_by_name,
                series=series)
        return samples

    def load(self, seconds, rate, wrong_rate):
        """Everything at once for so long; the samples."""
        self.seed += 1
        until = time.monotonic() + seconds
        loads = self.platform.start_loads(rate, seconds, self.seed)
        visitor = traffic = None
        samples, next_sample = [], time.monotonic() + SAMPLE_S
        self.next_reload = self.next_reload or time.monotonic() + RELOAD_S
        while time.monotonic() < until:
            left = until - time.monotonic()
            if (visitor is None or not visitor.running()) and left > VISIT_S + 2:
                self.finish_load(visitor)
                self.requests["visits"] += 1
                visitor = self.platform.start_visitor(VISIT_S, self.seed * 1000 + self.requests["visits"])
            if (traffic is None or not traffic.running()) and left > 2:
                self.finish_traffic(traffic)
                self.requests["wrong_runs"] += 1
                traffic = self.platform.start_traffic(wrong_rate, min(TRAFFIC_S, left),
                                                      self.requests["wrong_runs"])
            if time.monotonic() >= next_sample:
                samples.append(self.sample())
                next_sample += SAMPLE_S
            if time.monotonic() >= self.next_reload:
                self.platform.reload_one()
                self.next_reload = time.monotonic() + RELOAD_S
            time.sleep(0.2)
        for load in [*loads, visitor]:
            self.finish_load(load)
        self.finish_traffic(traffic)
        return samples

    def finish_load(self, load):
        if load is None:
            return
        result = load.result()
        self.requests["scheduled"] += result["scheduled"]
        self.requests["answered"] += result["answered"]
        if result["errors"]:
            self.problems.append(f"{load.name}: well-behaved requests failed: {result['errors']}")

    def finish_traffic(self, traffic):
        if traffic is not None and traffic.process.wait() != 0:
            self.problems.append(f"wrong requests: {traffic.log_end(60)}")

    def quiet(self):
        """A sample of each once all clients have gone and descriptors and threads have stopped changing."""
        before, same, until = None, 0, time.monotonic() + QUIET_PATIENCE_S
        while True:
            samples = self.sample()
            counts = {name: (sample.descriptors, sample.threads) for name, sample in samples.items()}
            same = same + 1 if counts == before else 0
            before = counts
            if same >= QUIET_LOOKS or time.monotonic() > until:
                return samples
            time.sleep(1)

    def check_reloads(self):
        """Every file that was written has been applied, and none refused."""
        for service in self.platform.services():
            written = self.platform.reloads[service.name]
            told = scrape(service.metrics)
            results = {result: int(told.sum("penstock_config_reloads_total", result=result))
                       for result in ("applied", "refused")}
            self.reloads[service.name] = {"written": written, **results}
            if results["refused"] or not 0 < written <= results["applied"]:
                self.problems.append(f"{service.name}: of {written} other configurations "
                                     f"{results['applied']} were applied and {results['refused']} "
                                     f"refused, wanted all of one at least:\n{service.log_end()}")

    def run(self):
        options = self.options
        print(f"warm-up: {options.warm_up_minutes:g} min", flush=True)
        # First at a multiple of the rate: gRPC starts a thread whenever all of a kind are busy, and keeps it.
        burst_s = 60 * options.warm_up_minutes * BURST_SHARE
        wrong_rate = WRONG_BURST * options.wrong_rate
        self.load(burst_s, BURST * options.rate, wrong_rate)
        self.load(60 * options.warm_up_minutes - burst_s, options.rate, wrong_rate)
        first = self.quiet()
        window = options.minutes - options.warm_up_minutes
        print(f"window: {window:g} min", flush=True)
        samples = self.load(60 * window, options.rate, options.wrong_rate)
        last = self.quiet()
        self.check_reloads()
        rows = [make_row(name, [sample[name] for sample in samples], first[name], last[name])
                for name in first]
        for row in rows:
            self.problems += row.problems(MOST_GROWTH, MOST_SERIES)
        return rows, samples


def as_figures(sample):
    return dataclasses.astuple(dataclasses.replace(sample, series=sum(sample.series.values())))


def print_table(rows):
    print(f"{'process':12} {'resident MiB':>15} {'growth':>8} {'highest':>8} {'anonymous':>9} "
          f"{'descriptors':>12} {'threads':>9} {'series':>11}")
    for row in rows:
        print(f"{row.name:12} {row.resident_mib[0]:7.1f} {row.resident_mib[1]:7.1f} "
              f"{100 * row.resident_growth:7.2f}% {100 * row.highest_growth:7.2f}% "
              f"{100 * row.anonymous_growth:8.2f}% {row.descriptors[0]:5} {row.descriptors[1]:6} "
              f"{row.threads[0]:4} {row.threads[1]:4} {row.series[0]:5} {row.series[1]:5}")


def main():
    options = parse_arguments()
    with Fleet(options.bin, keep_files=options.keep) as fleet:
        soak = Soak(options, Platform(fleet))
        rows, samples = soak.run()
        soak.problems += fleet.end()
        print_table(rows)
        print(f"{soak.requests['answered']} of {soak.requests['scheduled']} well-behaved requests answered, "
              f"{soak.requests['visits']} visitors, {soak.requests['wrong_runs']} runs of wrong requests; "
              f"{sum(of['applied'] for of in soak.reloads.values())} reloads applied, "
              f"{sum(of['refused'] for of in soak.reloads.values())} refused; "
              f"load average {os.getloadavg()[0]:.1f}")
        if options.json:
            options.json.write_text(json.dumps({
                "minutes": options.minutes, "warm_up_minutes": options.warm_up_minutes,
                "requests": soak.requests, "reloads": soak.reloads, "problems": soak.problems,
                "rows": [dataclasses.asdict(row) for row in rows],
                "samples": {row.name: [as_figures(sample[row.name]) for sample in samples]
                            for row in rows}}, indent=1), encoding="utf-8")
        for problem in soak.problems:
            print(f"error: {problem}", file=sys.stderr)
        if soak.problems:
            fleet.keep()
        return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
