#!/usr/bin/env python3
"""A real Prometheus over a platform that runs: see --help."""

import argparse
import json
import math
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from dashboard_schema import queries  # noqa: E402
from fleet import Fleet, scrape  # noqa: E402
from promql import names_in  # noqa: E402
from prometheus_server import PrometheusServer  # noqa: E402
from stranger import Stranger  # noqa: E402
from watched_faults import all_faults, report_answers  # noqa: E402
from watched_files import dashboards, of_gpus, rules  # noqa: E402
from watched_platform import WatchedPlatform  # noqa: E402

SKIPPED = 77
PATIENCE_S = 90
# How long what `may_hold` before its fault gets to be quiet for once, and what settles after it:
# two minutes of an ejection, and the minute that its alert looks back.
HOLD_S, SETTLE_S = 5, 180
# Wanted of a counter before the platform counts as used by all its clients.
WARM = 30
POOLS = ("both", "lone", "explored", "kept", "digits")
GPU = pathlib.Path("/dev/nvidiactl")
# Without a counter of joules no fault makes these fire; their series must have data all the same.
BY_DATA = {"PenstockJoulesUncalibrated": "penstock:energy_correction:ratio_delta30m"}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=(
            "Debian's Prometheus, with the rules of deploy/prometheus, scrapes a gateway, three"
            " routers, five expert services under a little load. One fault after the other is"
            " injected and mended; each alert's expression must hold during its fault and not"
            " before, but for a few that a busy machine or an earlier fault may have set off: which"
            " those were is told. Where its window is short it must be quiet again after. In the"
            " end every recorded series and every query of every dashboard must have data. `for`"
            " of alerts is not waited for."
            " Exit code 1 where something of this is not so; 77 where prometheus is not"
            " installed."
        )
    )
    parser.add_argument(
        "--bin",
        type=pathlib.Path,
        default=pathlib.Path("build/release/bin"),
        help="folder of the built binaries",
    )
    parser.add_argument(
        "--root",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parents[2],
        help="the repository",
    )
    parser.add_argument(
        "--fake_nvml",
        type=pathlib.Path,
        help="folder of a library that tells of GPUs; without it, and without a GPU, panels of them"
        " are passed over",
    )
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("--rate", type=float, default=15, help="requests a second, of each pool")
    parser.add_argument("--keep", action="store_true", help="keep logs")
    return parser.parse_args()


def until(is_so, patience_s=PATIENCE_S):
    """Polls; whether it became so, and after how many seconds."""
    begun = time.monotonic()
    while True:
        if is_so():
            return True, time.monotonic() - begun
        if time.monotonic() - begun > patience_s:
            return False, time.monotonic() - begun
        time.sleep(0.2)


def has_data(samples):
    return any(not math.isnan(value) for _, value in samples)


class Watch:
    """One run."""

    def __init__(self, options, fleet):
        self.options, self.fleet = options, fleet
        self.platform = WatchedPlatform(
            fleet,
            options.root,
            {"LD_LIBRARY_PATH": str(options.fake_nvml)} if options.fake_nvml else None,
        )
        self.stranger = Stranger()
        self.prometheus = PrometheusServer(
            fleet,
            options.root,
            {
                "penstock-gateway": [self.platform.gateway.metrics],
                "penstock-router": [each.metrics for each in self.platform.all_routers()],
                "penstock-expert": [
                    *(expert.metrics for expert in self.platform.experts),
                    self.stranger.metrics,
                ],
            },
        )
        self.expressions = {
            name: query for kind, name, query in self.prometheus.rules() if kind == "alerting"
        }
        self.problems, self.rows, self.loads = [], [], []

    def run(self):
        loaded = {(kind.removesuffix("ing"), name) for kind, name, _ in self.prometheus.rules()}
        wanted = {(rule.kind, rule.name) for rule in rules(self.options.root)}
        if loaded != wanted:
            self.problems.append(
                f"rules that were loaded, and those in the files: {loaded ^ wanted}"
            )
        for pool in POOLS:
            self._load(pool)
        self.loads.append(self.platform.load("both", rate=5, arguments=("--class", "red")))
        self._want(self._warm, "requests at every pool, scraped")
        report_answers(self.platform, 5)
        self._inject_all()
        self._see_them_settle()
        self._ask_another_router()
        self._ask_rules()
        # Those of before may be older by now than what panels look back.
        report_answers(self.platform, 5)
        self._ask_dashboards()
        for load in self.loads:
            load.stop()
        self.problems += self.fleet.end(self.platform.services())
        self.stranger.close()

    def _load(self, pool, **options):
        self.loads.append(self.platform.load(pool, rate=self.options.rate, **options))

    def _want(self, is_so, what):
        good, seconds = until(is_so)
        if not good:
            self.problems.append(f"no {what} within {seconds:.0f} s")
        return seconds

    def _warm(self):
        asked = {
            labels["pool"]
            for labels, value in self.prometheus.query(
                "sum by (pool) (penstock_gateway_requests_total)"
            )
            if value > WARM
        }
        recorded = self.prometheus.query("penstock:slo_errors_per_request:ratio_rate1h")
        return set(POOLS) <= asked and has_data(recorded)

    def _fires(self, name, labels):
        return any(
            all(series.get(key) == value for key, value in labels.items())
            for series, _ in self.prometheus.query(self.expressions[name])
        )

    def _inject_all(self):
        print(f"{'alert':34} {'before':>7} {'fired after':>12}  fault", flush=True)
        proved, self.settling = set(), []
        for fault in all_faults(self.platform, self.stranger, self._load):
            quiet = {name: self._is_quiet(fault, name) for name in fault.alerts}
            fault.begin()
            for name, labels in fault.alerts.items():
                fired, seconds = until(lambda: self._fires(name, labels))
                proved.add(name)
                row = {
                    "alert": name,
                    "fault": fault.what,
                    "quiet_before": quiet[name],
                    "fired": fired,
                    "seconds": round(seconds, 1),
                }
                self.rows.append(row)
                if name in fault.settles:
                    self.settling.append((row, labels))
                print(
                    f"{name:34} {'quiet' if quiet[name] else 'held':>7} {seconds:>10.1f} s "
                    f" {fault.what}{'' if fired else ': DOES NOT FIRE'}",
                    flush=True,
                )
                if not fired:
                    self.problems.append(
                        f"{name}: does not fire, within {seconds:.0f} s of {fault.what}"
                    )
            fault.end()
        for name, series in BY_DATA.items():
            proved.add(name)
            if series not in self.expressions[name]:
                self.problems.append(f"{name}: its expression does not read {series}")
            self._want(
                lambda: has_data(self.prometheus.query(series)), f"data of {series} ({name})"
            )
        self.problems += [
            f"{name}: no fault is there for it" for name in sorted(set(self.expressions) - proved)
        ]

    def _is_quiet(self, fault, name):
        """Whether the alert is quiet before the fault; a problem where it is not and may not
        hold.
        """
        may_hold = name in fault.may_hold
        quiet, seconds = until(
            lambda: not self._fires(name, fault.alerts[name]), HOLD_S if may_hold else PATIENCE_S
        )
        if not quiet and not may_hold:
            self.problems.append(f"{name}: holds before {fault.what}, for {seconds:.0f} s")
        return quiet

    def _see_them_settle(self):
        """Together: their windows pass at the same time."""
        for row, labels in self.settling:
            row["quiet_after"], seconds = until(
                lambda: not self._fires(row["alert"], labels), SETTLE_S
            )
            if not row["quiet_after"]:
                self.problems.append(
                    f"{row['alert']}: still holds {seconds:.0f} s after all was mended"
                )
        settled = sum(row["quiet_after"] for row, _ in self.settling)
        print(f"{settled} of {len(self.settling)} with short windows are quiet again", flush=True)

    def _ask_another_router(self):
        """A router that says nothing: gateways send its requests to the other one."""
        self.platform.routers[1].pause()
        self._want(
            lambda: scrape(self.platform.gateway.metrics).sum("penstock_gateway_retries_total")
            > 0,
            "request that was sent to a second router",
        )
        self.platform.routers[1].go_on()

    def _ask_rules(self):
        records = [
            (name, query) for kind, name, query in self.prometheus.rules() if kind == "recording"
        ]
        for name in sorted({name for name, _ in records}):
            # Some are there only for a moment after what they record.
            query = f"last_over_time({name}[1h])"
            self._want(lambda: has_data(self.prometheus.query(query)), f"data of {name}")
        self.records = len(records)

    def _ask_dashboards(self):
        self.queries = self.passed_over = 0
        # Where there is no GPU nobody tells of one.
        there = self.options.fake_nvml or GPU.exists()
        without = set() if there else of_gpus(self.options.root)
        for file, dashboard in dashboards(self.options.root).items():
            for title, expression in queries(dashboard):
                if names_in(expression) & without:
                    self.passed_over += 1
                    continue
                self.queries += 1
                self._want(
                    lambda: has_data(self.prometheus.query(expression)),
                    f"data in {file}, {title}: {expression}",
                )


def main():
    options = parse_arguments()
    if shutil.which("prometheus") is None:
        print("skipped: prometheus is not installed (Debian's package prometheus)")
        sys.exit(SKIPPED)
    begun = time.monotonic()
    with Fleet(options.bin, keep_files=options.keep) as fleet:
        watch = Watch(options, fleet)
        watch.run()
        if watch.problems:
            fleet.keep()
    for problem in watch.problems:
        print(problem)
    figures = {
        "alerts": watch.rows,
        "recorded": watch.records,
        "queries": watch.queries,
        "passed_over": watch.passed_over,
        "seconds": round(time.monotonic() - begun, 1),
        "load": os.getloadavg()[0],
        "problems": watch.problems,
    }
    shown = sum(row["quiet_before"] for row in watch.rows)
    print(
        f"{len(watch.expressions)} alerts, {shown} of {len(watch.rows)} shown quiet before their"
        f" fault, {watch.records} recording rules, {watch.queries}"
        f" queries of dashboards ({watch.passed_over} of GPUs passed over), {len(watch.problems)}"
        f" problems, {figures['seconds']} s, load"
        f" average {figures['load']:.1f}"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if watch.problems or not watch.rows or not watch.queries else 0)


if __name__ == "__main__":
    main()
