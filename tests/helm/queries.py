"""What autoscalers ask Prometheus: queries, and that the metrics in them exist."""

import re

from chart import ROOT


def queries_of(rendered):
    """KEDA's."""
    return [
        trigger["metadata"]["query"]
        for one in rendered
        if one["kind"] == "ScaledObject"
        for trigger in one["spec"]["triggers"]
    ]


def metric_problems(rendered):
    """Autoscalers ask for metrics that docs/metrics.md has."""
    names = [
        metric["pods"]["metric"]["name"]
        for one in rendered
        if one["kind"] == "HorizontalPodAutoscaler"
        for metric in one["spec"]["metrics"]
        if metric["type"] == "Pods"
    ]
    names += re.findall(r"\bpenstock_\w+", " ".join(queries_of(rendered)))
    known = set(
        re.findall(r"`(penstock_\w+)`", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"))
    )
    return [f"{name} is not in docs/metrics.md" for name in sorted(set(names) - known)]
