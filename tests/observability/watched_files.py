"""What the repository holds for those who watch: rules and their tests, runbooks, dashboards."""

import dataclasses
import json
import pathlib
import re

_RULE = re.compile(r"^      - (record|alert): (\S+)\n", re.MULTILINE)
_EXPRESSION = re.compile(
    r"^        expr: (?:\|\n((?:(?:          .*)?\n)+)|(.*)\n)", re.MULTILINE
)
_METRIC = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", re.MULTILINE)
_OF_GPUS = re.compile(r"^\| `(\w+)` \|.*\| with a GPU \|", re.MULTILINE)
_TEST_OF_ALERT = re.compile(
    r"alertname: (\w+),? *(?:\n +)?eval_time: \w+,? *(?:\n +)?exp_alerts:( \[\])?"
)
_TEST_OF_EXPRESSION = re.compile(r"^ +- \{?expr: (.*)$", re.MULTILINE)


@dataclasses.dataclass
class Rule:
    kind: str  # record, alert
    name: str
    expression: str
    text: str  # all of it
    file: str


def rules(root):
    """Every rule of deploy/prometheus/rules. They are read without a YAML library, so they must be
    indented as these are; one that is not raises ValueError."""
    found = []
    for path in sorted(pathlib.Path(root, "deploy/prometheus/rules").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        starts = list(_RULE.finditer(text))
        if len(starts) != len(re.findall(r"\b(?:record|alert):", text)):
            raise ValueError(f"{path}: rules are not indented by six spaces")
        for start, following in zip(starts, [*starts[1:], None]):
            of_rule = text[start.start() : following.start() if following else len(text)]
            expression = _EXPRESSION.search(of_rule)
            if expression is None:
                raise ValueError(f"{path}: no expr found in {start.group(2)}")
            found.append(
                Rule(
                    start.group(1),
                    start.group(2),
                    (expression.group(1) or expression.group(2)).strip(),
                    of_rule,
                    path.name,
                )
            )
    return found


def unit_tests(root):
    return sorted(pathlib.Path(root, "tests/observability/rules").glob("*_test.yaml"))


def alerts_of_unit_tests(root):
    """(those that are seen firing, those that are seen quiet)."""
    firing, quiet = set(), set()
    for path in unit_tests(root):
        for name, none in _TEST_OF_ALERT.findall(path.read_text(encoding="utf-8")):
            (quiet if none else firing).add(name)
    return firing, quiet


def expressions_of_unit_tests(root):
    return [
        expression
        for path in unit_tests(root)
        for expression in _TEST_OF_EXPRESSION.findall(path.read_text(encoding="utf-8"))
    ]


def runbooks(root):
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in pathlib.Path(root, "docs/runbooks").glob("*.md")
        if path.stem != "README"
    }


def dashboards(root):
    return {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(pathlib.Path(root, "deploy/grafana/dashboards").glob("*.json"))
    }


def of_gpus(root):
    """Metrics that are told where there is a GPU, by docs/metrics.md."""
    found = set(_OF_GPUS.findall(pathlib.Path(root, "docs/metrics.md").read_text(encoding="utf-8")))
    if not found:
        raise ValueError("docs/metrics.md: has no metric of a GPU")
    return found


def metrics(root):
    """Type by name, of docs/metrics.md, which has a test that compares it with services."""
    found = dict(
        _METRIC.findall(pathlib.Path(root, "docs/metrics.md").read_text(encoding="utf-8"))
    )
    if len(found) < 50:
        raise ValueError(f"docs/metrics.md: {len(found)} metrics read, wanted some hundred")
    return found
