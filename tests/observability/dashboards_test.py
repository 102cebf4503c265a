#!/usr/bin/env python3
"""dashboards_test.py ROOT: dashboards are as they must be, and the check finds those that are not.

Every panel has title, description, unit, datasource variable, legends and a place of its own;
every query parses (promtool) and names only metrics of docs/metrics.md and series that a rule
records; every variable is used.
77 where promtool is not installed.
"""

import copy
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import watched_files
from dashboard_schema import problems, queries
from promql import names_in


def syntax_errors(expressions):
    """What promtool says of expressions; empty where it takes all."""
    rules = [
        {"record": f"query:{index}", "expr": expression}
        for index, expression in enumerate(expressions)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "queries.yaml"
        path.write_text(
            json.dumps({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8"
        )
        done = subprocess.run(
            ["promtool", "check", "rules", path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def broken(dashboard):
    """(what is wrong, a dashboard in which it is) for everything that the check must find."""

    def change(what):
        changed = copy.deepcopy(dashboard)
        graphs = [panel for panel in changed["panels"] if panel["type"] != "row"]
        what(changed, graphs)
        return changed

    def of_first(key, value):
        return change(lambda _, graphs: graphs[0].update({key: value}))

    def of_query(key, value):
        return change(lambda _, graphs: graphs[0]["targets"][0].update({key: value}))

    yield "wants a title", of_first("title", "")
    yield "wants a description", of_first("description", " ")
    yield "stands twice", change(lambda _, graphs: graphs[0].update(id=graphs[1]["id"]))
    yield "lies over", change(lambda _, graphs: graphs[0].update(gridPos=graphs[1]["gridPos"]))
    yield "outside of", of_first("gridPos", {"x": 20, "y": 0, "w": 8, "h": 8})
    yield "wanted the variable", of_first("datasource", {"type": "prometheus", "uid": "penstock"})
    yield "wanted the variable", of_query("datasource", None)
    yield "has no query", of_first("targets", [])
    yield "unit", change(lambda _, graphs: graphs[0]["fieldConfig"]["defaults"].pop("unit"))
    yield "without a legend", of_query("legendFormat", "")
    yield "is in no service", of_query("expr", "sum(rate(penstock_gateway_reqests_total[5m]))")
    yield "is in no service", of_query("expr", "penstock:not_recorded:ratio")
    yield "names no metric", of_query("expr", "vector(1)")
    yield "not summed by le", of_query(
        "expr",
        "histogram_quantile(0.5, rate(penstock_gateway_request_duration_seconds_bucket[5m]))",
    )
    yield "is no variable", of_query("expr", 'up{job="$nobody"}')
    yield "is used nowhere", change(
        lambda changed, _: changed["templating"]["list"].append(
            {**changed["templating"]["list"][-1], "name": "idle"}
        )
    )
    yield "no datasource variable", change(
        lambda changed, _: changed["templating"]["list"].pop(0)
    )


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    if shutil.which("promtool") is None:
        print("promtool is not installed (Debian's package prometheus)")
        sys.exit(77)
    metrics = watched_files.metrics(root)
    records = {rule.name for rule in watched_files.rules(root) if rule.kind == "record"}
    dashboards = watched_files.dashboards(root)
    found = [] if len(dashboards) >= 4 else [f"{len(dashboards)} dashboards"]
    uids = [dashboard.get("uid") for dashboard in dashboards.values()]
    found += [f"uid {uid} stands twice" for uid in set(uids) if uids.count(uid) > 1]
    asked = 0
    for name, dashboard in dashboards.items():
        found += problems(name, dashboard, metrics, records)
        of_it = [expression for _, expression in queries(dashboard)]
        asked += len(of_it)
        wrong = syntax_errors(of_it)
        found += [f"{name}: {wrong}"] if wrong else []

    missed = 0
    for what, dashboard in broken(dashboards["overview.json"]):
        said = problems("broken", dashboard, metrics, records)
        if not any(what in text for text in said):
            missed += 1
            found.append(f"a dashboard that {what!r} should be said of: {said}")
    if not syntax_errors(["sum(rate(up[5m])"]):
        found.append("promtool took an expression without its last parenthesis")
    assert names_in(
        'sum by (a) (rate(x_total{b="y{}"}[5m])) / on (c) group_left (d) z:e > bool 1'
    ) == {"x_total", "z:e"}

    for text in found:
        print(text)
    print(
        f"{len(dashboards)} dashboards, {asked} queries, {len(metrics)} metrics, {len(found)}"
        " problems"
    )
    sys.exit(1 if found or missed else 0)


if __name__ == "__main__":
    main()
