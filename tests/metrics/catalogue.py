"""docs/metrics.md as the tests read it: what it says, not what it was made from."""

import dataclasses
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/metrics.md"
_FAMILY = re.compile(r"^\| `([\w:]+)` \| (\w+) \| [^|]+ \| ([^|]*) \| ([^|]+) \| (.*) \|$")
_CLOSED = re.compile(r"^\| `(\w+)` \| (`.*`) \| (`.*`) \|$")
_OPEN = re.compile(r"^\| `(\w+)` \| (\w+) \| [^|]+ \| [^|]+ \|$")
_NAME = re.compile(r"`([^`]*)`")
SERVICES = ("gateway", "router", "expert")


@dataclasses.dataclass
class Family:
    kind: str
    labels: frozenset
    start: str  # from when it is told
    help: str
    values: dict  # label: its values, of those that are a closed set


def owner_of(name):
    """The service that a family is of; of every service it is another word."""
    return "expert" if name.startswith(("nv_", "penstock:")) else name.split("_")[1]


def read_catalogue(page=PAGE):
    """{name: Family}"""
    families, open_labels = {}, set()
    for line in page.read_text(encoding="utf-8").splitlines():
        if (row := _FAMILY.match(line)) is not None:
            name, kind, labels, start, text = row.groups()
            families[name] = Family(kind, frozenset(_NAME.findall(labels)), start,
                                    text.replace("\\|", "|"), {})
        elif (row := _CLOSED.match(line)) is not None:
            for name in _NAME.findall(row[2]):
                families[name].values[row[1]] = set(_NAME.findall(row[3]))
        elif (row := _OPEN.match(line)) is not None:
            open_labels.add((row[2], row[1]))
    for name, family in families.items():
        for label in family.labels - set(family.values):
            if (owner_of(name), label) not in open_labels:
                raise ValueError(f"{page}: {label} of {name} has neither values nor a bound")
    return families


def family_of(name, families):
    """The family that a sample's name belongs to: a histogram's have more than one."""
    if name in families:
        return name
    for end in ("_bucket", "_sum", "_count"):
        if name.removesuffix(end) in families:
            return name.removesuffix(end)
    return name


def differences(service, samples, catalogue):
    """Texts for what a scrape of a gateway, router or expert tells and the page does not."""
    found = []
    for name, (kind, text) in samples.families.items():
        known = catalogue.get(name)
        if known is None:
            found.append(f"{service}: {name} ({kind}: {text}) is not in docs/metrics.md")
            continue
        if (known.kind, known.help) != (kind, text):
            found.append(f"{service}: {name} is a {kind}, '{text}'; docs/metrics.md says "
                         f"{known.kind}, '{known.help}'")
        if owner_of(name) in SERVICES and owner_of(name) != service:
            found.append(f"{service}: {name} is of another service")
    for name, labels, _ in samples.samples:
        known = catalogue.get(family_of(name, samples.families))
        if known is None:
            continue
        told = set(labels) - ({"le"} if known.kind == "histogram" else set())
        if told != known.labels:
            found.append(f"{service}: {name} has the labels {sorted(told)}; docs/metrics.md says "
                         f"{sorted(known.labels)}")
        found += [f"{service}: {name}: {label} is {labels[label]}, none of {sorted(values)}"
                  for label, values in known.values.items()
                  if label in labels and labels[label] not in values]
    return sorted(set(found))
