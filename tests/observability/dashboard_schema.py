"""What is wanted of a dashboard: what Grafana needs to show it, and a reader to read it."""

import re

from promql import families_in, variables_in

UNITS = {"reqps", "ops", "percentunit", "s", "watt", "joule", "bytes", "Bps", "short"}
KINDS = {"timeseries", "stat"}
# Grafana's own, and Prometheus'.
BUILT_IN = {"__rate_interval", "__range"}
OF_PROMETHEUS = {"up"}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
# Of a histogram's series each label makes another quantile: those that are not asked for are summed.
_BUCKETS = re.compile(r"\w+_bucket\b")
_SUMMED_BUCKETS = re.compile(r"sum by \(le\b[^)]*\) \(rate\(\w+_bucket\b")


def queries(dashboard):
    """[(title of the panel, expression with something in the place of variables)]."""
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name in variables_in(expression):
                expression = expression.replace(f"${name}", "5m" if name in BUILT_IN else ".*")
            found.append((panel["title"], expression))
    return found


def problems(name, dashboard, metrics, records):
    """Texts; `metrics`: type by name, `records`: names of recording rules."""
    found = []
    for key, kind in (
        ("uid", str),
        ("title", str),
        ("description", str),
        ("schemaVersion", int),
        ("tags", list),
        ("time", dict),
        ("templating", dict),
        ("panels", list),
    ):
        if not isinstance(dashboard.get(key), kind) or not dashboard[key]:
            found.append(f"{name}: wants {key}, a {kind.__name__}")
    if found:
        return found
    if len(dashboard["uid"]) > 40 or not re.fullmatch(r"[\w-]+", dashboard["uid"]):
        found.append(f"{name}: uid {dashboard['uid']!r}, wanted 40 letters at most")
    panels = dashboard["panels"]
    graphs = [panel for panel in panels if panel.get("type") != "row"]
    if not graphs:
        found.append(f"{name}: has no panel")
    ids = [panel.get("id") for panel in panels]
    found += [f"{name}: panel id {each} stands twice" for each in set(ids) if ids.count(each) > 1]
    titles = [panel.get("title") for panel in graphs]
    found += [
        f"{name}: title {each!r} stands twice" for each in set(titles) if titles.count(each) > 1
    ]
    found += _of_grid(name, panels)
    for panel in graphs:
        found += _of_panel(
            f"{name}: {panel.get('title', panel.get('id'))}", panel, metrics, records
        )
    found += _of_variables(name, dashboard, graphs, metrics)
    return found


def _of_grid(name, panels):
    found, taken = [], {}
    for panel in panels:
        grid = panel.get("gridPos", {})
        x, y, w, h = (grid.get(key, -1) for key in "xywh")
        if min(x, y) < 0 or min(w, h) < 1 or x + w > COLUMNS:
            found.append(
                f"{name}: {panel.get('title')}: gridPos {grid} is outside of {COLUMNS} columns"
            )
            continue
        for cell in ((column, row) for column in range(x, x + w) for row in range(y, y + h)):
            other = taken.setdefault(cell, panel.get("title"))
            if other != panel.get("title"):
                found.append(f"{name}: {panel.get('title')} lies over {other}")
                break
    return found


def _of_panel(where, panel, metrics, records):
    found = []
    if panel.get("type") not in KINDS:
        found.append(f"{where}: type {panel.get('type')!r}, wanted one of {sorted(KINDS)}")
    for key in ("title", "description"):
        if not str(panel.get(key) or "").strip():
            found.append(f"{where}: wants a {key}")
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
    if unit not in UNITS:
        found.append(f"{where}: unit {unit!r}, wanted one of {sorted(UNITS)}")
    targets = panel.get("targets") or []
    if not targets:
        found.append(f"{where}: has no query")
    references = [target.get("refId") for target in targets]
    if len(set(references)) != len(references) or None in references:
        found.append(f"{where}: refIds {references}")
    histograms = {metric for metric, kind in metrics.items() if kind == "histogram"}
    for each in [panel, *targets]:
        if each.get("datasource") != DATASOURCE:
            found.append(f"{where}: datasource {each.get('datasource')}, wanted the variable")
    for target in targets:
        if not str(target.get("legendFormat") or "").strip():
            found.append(f"{where}: a query without a legend")
        families = families_in(target.get("expr") or "", histograms)
        if not families:
            found.append(f"{where}: a query that names no metric: {target.get('expr')!r}")
        expression = target.get("expr") or ""
        if len(_BUCKETS.findall(expression)) != len(_SUMMED_BUCKETS.findall(expression)):
            found.append(f"{where}: buckets that are not summed by le: {expression!r}")
        found += [
            f"{where}: {metric} is in no service and no rule"
            for metric in sorted(families - set(metrics) - set(records) - OF_PROMETHEUS)
        ]
    return found


def _of_variables(name, dashboard, graphs, metrics):
    variables = dashboard["templating"].get("list", [])
    known = {variable.get("name") for variable in variables}
    found, used = [], set()
    for panel in graphs:
        for target in panel.get("targets") or []:
            used |= variables_in(target.get("expr") or "") | variables_in(
                target.get("legendFormat") or ""
            )
            used |= variables_in(str((target.get("datasource") or {}).get("uid")))
    for variable in variables:
        if variable.get("type") != "query":
            continue
        used |= variables_in(str(variable.get("datasource"))) | variables_in(
            str(variable.get("query"))
        )
        matched = re.fullmatch(
            r"label_values\((\w+)(?:\{.*\})?, \w+\)", variable.get("query", {}).get("query", "")
        )
        if matched is None or matched.group(1) not in metrics:
            found.append(
                f"{name}: variable {variable.get('name')}: query {variable.get('query')}"
            )
    found += [f"{name}: ${each} is no variable of it" for each in sorted(used - known - BUILT_IN)]
    found += [f"{name}: variable {each} is used nowhere" for each in sorted(known - used)]
    if not any(variable.get("type") == "datasource" for variable in variables):
        found.append(f"{name}: has no datasource variable")
    return found
