"""queries_test.py: what KEDA asks Prometheus can be read, and says what it should. Skipped, by 77,
where promtool is not installed.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from chart import CHART, Helm, skip
from queries import queries_of


def read_problems(queries):
    """promtool reads each."""
    rules = [{"record": f"query:{index}", "expr": query} for index, query in enumerate(queries)]
    told = subprocess.run(
        ["promtool", "check", "rules", "/dev/stdin"],
        capture_output=True,
        text=True,
        timeout=60,
        input=json.dumps({"groups": [{"name": "keda", "rules": rules}]}),
    )
    return [] if told.returncode == 0 else [told.stdout + told.stderr]


def wake_problems(rendered):
    """What KEDA is told of the GPU example, by its queries, of series that stand here."""
    load, missed, plan = queries_of(rendered)
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


def main():
    if shutil.which("promtool") is None:
        skip("promtool is not installed (Debian's package prometheus)")
    rendered = Helm().render("-f", CHART / "ci/gpu-values.yaml")
    queries = queries_of(rendered)
    found = [] if len(queries) == 3 else [f"the GPU example asks {len(queries)} queries, wanted 3"]
    found = found or [*read_problems(queries), *wake_problems(rendered)]
    for problem in found:
        print(problem)
    print(f"{len(queries)} queries, {len(found)} problems")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
