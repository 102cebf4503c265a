"""What autoscalers ask Prometheus: metrics exist, queries parse, and say what they should."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from chart import CHART, ROOT


def query_problems(rendered):
    """Autoscalers ask for metrics that docs/metrics.md has, in queries that Prometheus can read."""
    queries = [
        trigger["metadata"]["query"]
        for one in rendered
        if one["kind"] == "ScaledObject"
        for trigger in one["spec"]["triggers"]
    ]
    names = [
        metric["pods"]["metric"]["name"]
        for one in rendered
        if one["kind"] == "HorizontalPodAutoscaler"
        for metric in one["spec"]["metrics"]
        if metric["type"] == "Pods"
    ]
    names += re.findall(r"\bpenstock_\w+", " ".join(queries))
    known = set(
        re.findall(r"`(penstock_\w+)`", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"))
    )
    found = [f"{name} is not in docs/metrics.md" for name in sorted(set(names) - known)]
    if queries and shutil.which("promtool") is None:
        if os.environ.get("CI") == "true":
            return [*found, "promtool is not installed: nobody has read the queries"]
        print("promtool is not installed: KEDA's queries are not parsed")
    elif queries:
        rules = [{"record": f"query:{index}", "expr": query} for index, query in enumerate(queries)]
        told = subprocess.run(
            ["promtool", "check", "rules", "/dev/stdin"],
            capture_output=True,
            text=True,
            input=json.dumps({"groups": [{"name": "keda", "rules": rules}]}),
        )
        found += [] if told.returncode == 0 else [told.stdout + told.stderr]
    return found


def wake_problems(helm):
    """What KEDA is told of the GPU example, by its queries, of series that stand here."""
    if shutil.which("promtool") is None:
        return []  # query_problems has said so
    scaled = next(
        one
        for one in helm.render("-f", CHART / "ci/gpu-values.yaml")
        if one["kind"] == "ScaledObject"
    )
    load, missed, plan = (one["metadata"]["query"] for one in scaled["spec"]["triggers"])
    of = 'namespace="penstock",pool="digits"'
    series = {  # by half minutes
        # The first request that is refused is the counter's first sample, two minutes in.
        f'penstock_router_requests_total{{{of},code="UNAVAILABLE"}}': "_x4 1x40",
        f'penstock_router_requests_total{{{of},code="OK"}}': "0+30x44",
        f'penstock_router_dispatches_total{{{of},expert="vit_large",reason="chosen"}}': "0+30x44",
        f'penstock_router_dispatches_total{{{of},expert="mlp32",reason="chosen"}}': "0+90x44",
        f'penstock_router_expert_awake{{{of},expert="vit_large"}}': "0x9 1x34",
        f'penstock_router_expert_awake{{{of},expert="mlp32"}}': "1x44",
    }
    expected = [
        (missed, "1m", 0), (missed, "2m30s", 1), (missed, "10m", 0),
        (load, "10m", 1), (plan, "1m", 0), (plan, "10m", 1),
    ]  # fmt: skip
    checks = [
        {"expr": query, "eval_time": when, "exp_samples": [{"value": value}]}
        for query, when, value in expected
    ]
    samples = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "30s", "input_series": samples, "promql_expr_test": checks}
    with tempfile.TemporaryDirectory() as temporary:
        file = pathlib.Path(temporary) / "wake.yaml"
        file.write_text(json.dumps({"rule_files": [], "tests": [test]}), encoding="utf-8")
        told = subprocess.run(
            ["promtool", "test", "rules", file], capture_output=True, text=True, timeout=60
        )
    return [] if told.returncode == 0 else [told.stdout + told.stderr]
