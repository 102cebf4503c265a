#!/usr/bin/env python3
"""rules_test.py ROOT: promtool takes and unit-tests all rules; alerts, tests and runbooks match.

Every alert is seen firing and quiet in a unit test and has a runbook page that says what it means,
how it is seen and what to do; every recorded series is asked for in a unit test; and neither tests
nor pages are left of what is gone. Expressions name only metrics of docs/metrics.md and series that
a rule records. 77 where promtool is not installed.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import watched_files
from promql import families_in

SEVERITIES = ("critical", "warning", "info")
SECTIONS = ("## What it means", "## How to see it", "## What to do")
# Prometheus' own.
NOT_OURS = {"up"}
# What somebody decided, in one place.
CONSTANTS = {
    "penstock:slo_objective:ratio",
    "penstock:deadline_objective:ratio",
    "penstock:promised_quantile:ratio",
}
# Recorded of several windows, for each of which the rule is the same.
SLO_SERIES = (
    "penstock:slo_errors_per_request:ratio_rate",
    "penstock:slo_errors:sum_increase",
    "penstock:deadlines_missed:ratio_rate",
    "penstock:deadlines_missed:sum_increase",
)


def promtool(*arguments):
    """What it says, where it fails."""
    done = subprocess.run(
        ["promtool", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return (
        ""
        if done.returncode == 0
        else f"promtool {arguments[0]} {arguments[1]}: {done.stdout}{done.stderr}"
    )


def of_names(rules, metrics):
    histograms = {name for name, kind in metrics.items() if kind == "histogram"}
    known = set(metrics) | {rule.name for rule in rules if rule.kind == "record"} | NOT_OURS
    for rule in rules:
        families = families_in(rule.expression, histograms)
        if not families and rule.name not in CONSTANTS:
            yield f"{rule.name}: names no metric"
        for name in sorted(families - known):
            yield f"{rule.name}: {name} is in no service and no rule"
        if rule.kind == "record" and not re.fullmatch(r"penstock:\w+:\w+", rule.name):
            yield f"{rule.name}: wanted penstock:WHAT:HOW"


def of_alerts(rules, runbooks):
    for rule in rules:
        if rule.kind != "alert":
            continue
        if not re.search(rf"severity: (?:{'|'.join(SEVERITIES)})\b", rule.text):
            yield f"{rule.name}: severity, wanted one of {SEVERITIES}"
        for key in ("summary", "description"):
            if not re.search(rf"^          {key}: \S", rule.text, re.MULTILINE):
                yield f"{rule.name}: wants the annotation {key}"
        if f"runbook_url: docs/runbooks/{rule.name}.md" not in rule.text:
            yield f"{rule.name}: runbook_url is not docs/runbooks/{rule.name}.md"
        page = runbooks.get(rule.name, "")
        if not page.startswith(f"# {rule.name}\n"):
            yield f"docs/runbooks/{rule.name}.md: wants the title {rule.name}"
        places = [page.find(f"\n{section}\n") for section in SECTIONS]
        if -1 in places or places != sorted(places):
            yield f"docs/runbooks/{rule.name}.md: wants {SECTIONS}, in this order"


def of_coverage(root, rules, runbooks):
    alerts = {rule.name for rule in rules if rule.kind == "alert"}
    firing, quiet = watched_files.alerts_of_unit_tests(root)
    for name in sorted(alerts - firing):
        yield f"{name}: fires in no unit test"
    for name in sorted(alerts - quiet):
        yield f"{name}: is quiet in no unit test"
    for name in sorted((firing | quiet) - alerts):
        yield f"{name}: has unit tests and is no alert"
    for name in sorted(set(runbooks) - alerts):
        yield f"docs/runbooks/{name}.md: is of no alert"
    expressions = watched_files.expressions_of_unit_tests(root)
    for rule in rules:
        if rule.kind == "record" and not any(rule.name in each for each in expressions):
            yield f"{rule.name}: no unit test asks for it"


def of_panels(runbooks, dashboards):
    """What a page has in italics is a dashboard, or a panel of one."""
    titles = {dashboard["title"] for dashboard in dashboards}
    titles |= {panel["title"] for dashboard in dashboards for panel in dashboard["panels"]}
    short = {title.removeprefix("Penstock / ") for title in titles}
    for name, page in runbooks.items():
        for named in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", page):
            if " ".join(named.split()) not in short:
                yield f"docs/runbooks/{name}.md: *{named}* is no dashboard and no panel"


def of_windows(rules):
    """Ranges are what names say; error ratios, and counts, of all windows are the same but for
    those.
    """
    for rule in rules:
        named = re.search(r"_(?:rate|delta|increase)(\d+\w)$", rule.name)
        ranges = set(re.findall(r"\[(\w+)\]", rule.expression))
        if rule.kind == "record" and ranges != ({named.group(1)} if named else set()):
            yield f"{rule.name}: reads ranges of {sorted(ranges)}"
    for what in SLO_SERIES:
        kinds = {}
        for rule in rules:
            matched = re.fullmatch(rf"{what}(\w+)", rule.name)
            if matched:
                kinds.setdefault(
                    rule.expression.replace(f"[{matched.group(1)}]", "[W]"), set()
                ).add(matched.group(1))
        # One of a pool, one of the platform.
        if len(kinds) != 2 or len({frozenset(windows) for windows in kinds.values()}) != 1:
            told = [sorted(windows) for windows in kinds.values()]
            yield f"the windows of {what} differ: {told}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    if shutil.which("promtool") is None:
        print("promtool is not installed (Debian's package prometheus)")
        sys.exit(77)
    rules, runbooks = watched_files.rules(root), watched_files.runbooks(root)
    tests = watched_files.unit_tests(root)
    found = [
        text
        for text in (
            promtool("check", "config", root / "deploy/prometheus/prometheus.yaml"),
            promtool("test", "rules", *tests),
        )
        if text
    ]
    found += of_names(rules, watched_files.metrics(root))
    found += of_alerts(rules, runbooks)
    found += of_coverage(root, rules, runbooks)
    found += of_panels(runbooks, watched_files.dashboards(root).values())
    found += of_windows(rules)
    for text in found:
        print(text)
    alerts = sum(rule.kind == "alert" for rule in rules)
    print(
        f"{alerts} alerts, {len(rules) - alerts} recorded series, {len(tests)} files of unit"
        f" tests, {len(runbooks)} runbooks, {len(found)} problems"
    )
    sys.exit(1 if found or not rules or not tests else 0)


if __name__ == "__main__":
    main()
