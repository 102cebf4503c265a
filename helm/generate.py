#!/usr/bin/env python3
"""Writes what the chart holds of other places; `--check` only says whether it is current.

helm/penstock/values.schema.json   from the comments of values.yaml and the configuration's protos
helm/penstock/README.md            its table, between the marks, from the same comments
helm/penstock/files/               rules and dashboards of deploy/ and two models of
                                   examples/digits: a chart reads no file outside of its folder
"""

import json
import pathlib
import sys

from values_file import read_values
from values_schema import values_schema

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
CHART = HERE / "penstock"
BEGIN, END = "<!-- values: begin, written by helm/generate.py -->", "<!-- values: end -->"
EXAMPLE_MODELS = ["linear", "mlp32"]


def table(values):
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in values:
        meaning = value.meaning.replace("|", "\\|")
        rows.append(f"| `{'.'.join(value.path)}` | `{value.default}` | {meaning} |")
    return "\n".join(rows)


def readme(values):
    path = CHART / "README.md"
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{path}: wanted the marks {BEGIN!r} and {END!r} once each")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{table(values)}\n{END}{rest.split(END)[1]}"


def copies():
    """What files/ should hold: {path in the chart: bytes}."""
    found = {}
    for kind, pattern in (("prometheus/rules", "*.yaml"), ("grafana/dashboards", "*.json")):
        for source in sorted((ROOT / "deploy" / kind).glob(pattern)):
            found[CHART / "files" / pathlib.Path(kind).name / source.name] = source.read_bytes()
    for model in EXAMPLE_MODELS:
        folder = ROOT / "examples/digits/models" / model
        for name, flat in (
            ("config.yaml", f"{model}.config.yaml"),
            ("1/model.safetensors", f"{model}.model.safetensors"),
        ):
            found[CHART / "files/example" / flat] = (folder / name).read_bytes()
    return found


def wanted():
    values = read_values((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.dumps(values_schema(values), indent=1) + "\n"
    return {
        CHART / "values.schema.json": schema.encode(),
        CHART / "README.md": readme(values).encode(),
        **copies(),
    }


def main():
    files = wanted()
    present = {path for path in (CHART / "files").rglob("*") if path.is_file()}
    left_over = sorted(present - files.keys())
    differ = sorted(
        path for path, content in files.items() if not path.exists() or path.read_bytes() != content
    )
    if "--check" in sys.argv[1:]:
        for path in [*differ, *left_over]:
            print(f"{path.relative_to(ROOT)} is not what its sources say")
        if differ or left_over:
            sys.exit("run helm/generate.py")
        print(f"{len(files)} files are current")
        return
    for path in left_over:
        path.unlink()
    for path in differ:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[path])
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
