"""Panels and dashboards as Grafana's JSON has them: what all share, and where each stands."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


class Panel:
    """One graph or number; `queries`: (expression, legend) each."""

    def __init__(
        self,
        title,
        description,
        unit,
        *queries,
        kind="timeseries",
        stacked=False,
        width=8,
        height=8,
        most=None,
        steps=None,
    ):
        self.title, self.description, self.unit, self.queries = title, description, unit, queries
        self.kind, self.stacked, self.width, self.height = kind, stacked, width, height
        self.most = most  # of the axis
        self.steps = steps  # (value, colour) from which on a number has that colour

    def json(self, number, x, y):
        defaults = {"unit": self.unit, "min": 0}
        if self.most is not None:
            defaults["max"] = self.most
        if self.steps is not None:
            # Grafana's first step is of everything below the second.
            defaults["thresholds"] = {
                "mode": "absolute",
                "steps": [{"color": colour, "value": value} for value, colour in self.steps],
            }
        if self.kind == "stat":
            options = {
                "colorMode": "value" if self.steps else "none",
                "graphMode": "area",
                "textMode": "value_and_name" if len(self.queries) > 1 else "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            }
        else:
            defaults["custom"] = {
                "fillOpacity": 30 if self.stacked else 5,
                "lineWidth": 1,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none"},
            }
            options = {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        targets = [
            {
                "datasource": DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
                "refId": chr(ord("A") + index),
            }
            for index, (expression, legend) in enumerate(self.queries)
        ]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options,
            "targets": targets,
        }


def number(title, description, unit, expression, steps=None, width=4):
    """A single figure."""
    return Panel(
        title,
        description,
        unit,
        (expression, title),
        kind="stat",
        width=width,
        height=4,
        steps=steps,
    )


class Variable:
    """A choice at the dashboard's top: the values of a label of a metric; all of them at first."""

    def __init__(self, name, label, of, title):
        self.name, self.label, self.of, self.title = name, label, of, title

    def json(self):
        query = f"label_values({self.of}, {self.label})"
        return {
            "name": self.name,
            "label": self.title,
            "type": "query",
            "datasource": DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": self.name},
            # `.*` also fits where nobody set the label, as without Kubernetes the namespace.
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "refresh": 2,
            "sort": 1,
            "current": {"text": ["All"], "value": ["$__all"]},
            "options": [],
        }


class Dashboard:
    """Rows of panels: (title, panels); panels go from left to right, and on below."""

    def __init__(self, name, title, description, variables, *rows):
        self.name, self.title, self.description = name, title, description
        self.variables, self.rows = variables, rows

    def json(self):
        panels = []
        y = 0
        for title, of_row in self.rows:
            panels.append(
                {
                    "id": len(panels) + 1,
                    "type": "row",
                    "title": title,
                    "collapsed": False,
                    "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
                    "panels": [],
                }
            )
            y += 1
            x = height = 0
            for panel in of_row:
                if x + panel.width > WIDTH:
                    x, y, height = 0, y + height, 0
                panels.append(panel.json(len(panels) + 1, x, y))
                x += panel.width
                height = max(height, panel.height)
            y += height
        datasource = {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
            "options": [],
            "hide": 0,
            "current": {},
            "includeAll": False,
            "multi": False,
        }
        return {
            "uid": f"penstock-{self.name}",
            "title": f"Penstock / {self.title}",
            "description": self.description,
            "tags": ["penstock"],
            "editable": True,
            "schemaVersion": 38,
            "version": 1,
            "timezone": "browser",
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "graphTooltip": 1,
            "links": [
                {
                    "type": "dashboards",
                    "title": "Penstock",
                    "tags": ["penstock"],
                    "asDropdown": False,
                    "includeVars": True,
                    "keepTime": True,
                }
            ],
            "annotations": {"list": []},
            "templating": {"list": [datasource, *(each.json() for each in self.variables)]},
            "panels": panels,
        }
