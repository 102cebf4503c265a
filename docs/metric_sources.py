"""Which metrics the C++ sources declare: name, type and help of every family."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("common", "gateway", "router_service", "expert_service")
SERVICES = ("gateway", "router", "expert")

_TEXT = r'"(?:[^"\\]|\\.)*"'
_OURS = r"(?:penstock[_:]|process_|nv_)"
_NAME = rf'"({_OURS}[\w:]+)"'
_HELP = rf"(?P<help>(?:{_TEXT}\s*)+)"
_DECLARATIONS = (
    # prometheus::BuildCounter().Name("...").Help("..." "...")
    re.compile(rf"Build(?P<type>\w+)\(\)\s*\.Name\(\s*{_NAME}\s*\)\s*\.Help\(\s*{_HELP}\)"),
    # MakeCounters(registry, "...", "..." "...")
    re.compile(rf"Make(?P<type>Counter|Gauge|Histogram)s?\([^\"()]*{_NAME},\s*{_HELP}\)"),
    # Family("...", "...", prometheus::MetricType::Counter, ...); where a name is configurable it is
    # the one that it has by default
    re.compile(rf"Family\(\s*{_NAME},\s*{_HELP},\s*prometheus::MetricType::(?P<type>\w+)"),
)
# Of every service: MakeCounter(options, "accepted", "..."), named penstock_SERVICE_accepted_total.
_OF_EACH = re.compile(rf'MakeCounter\(\s*options,\s*"(\w+)",\s*{_HELP}\)')
# What looks like a metric's name in a file that includes prometheus-cpp.
_LITERAL = re.compile(r'"((?:penstock_(?:' + "|".join((*SERVICES, "store", "config", "build")) +
                      r')|process|nv)_\w*[a-z0-9]|penstock:\w+)"')


def declared():
    """{name: (type, help, file)}; ValueError where one is declared in a way not known here."""
    found = {}
    for path in sources():
        text = path.read_text(encoding="utf-8")
        if "<prometheus/" not in text:
            continue
        file = str(path.relative_to(ROOT))
        for pattern in _DECLARATIONS:
            for match in pattern.finditer(text):
                name = next(group for group in match.groups()
                            if re.match(_OURS, group))
                _add(found, name, match["type"].lower(), match["help"], file)
        if '"penstock_", options.service' in text:
            for match in _OF_EACH.finditer(text):
                for service in SERVICES:
                    name = f"penstock_{service}_{match[1]}_total"
                    _add(found, name, "counter", match["help"], file)
        unknown = sorted(set(_LITERAL.findall(text)) - set(found))
        if unknown:
            raise ValueError(f"{file}: {', '.join(unknown)}: wanted a declaration as "
                             "docs/metric_sources.py knows them, with the name, then the help")
    if not found:
        raise ValueError("no metric is declared anywhere")
    return found


def sources():
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.cc"))


def _add(found, name, kind, help_text, file):
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', help_text)).replace('\\"', '"')
    before = found.get(name)
    if before is not None and before[:2] != (kind, text):
        raise ValueError(f"{file}: {name} is declared otherwise in {before[2]}")
    found[name] = (kind, text, file)
