"""Prometheus' text format: fetched from a service and looked up by name and labels."""

import collections
import re
import urllib.request

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Samples:
    """What one scrape said."""

    def __init__(self, text):
        self.samples = []
        self.families = {}  # name: (type, help)
        helps = {}
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, _, helps[name] = line[7:].partition(" ")
            elif line.startswith("# TYPE "):
                name, _, kind = line[7:].partition(" ")
                self.families[name] = (kind, helps.get(name, ""))
            matched = None if line.startswith("#") else _LINE.match(line)
            if matched:
                labels = dict(_LABEL.findall(matched.group(2) or ""))
                self.samples.append((matched.group(1), labels, float(matched.group(3))))

    def each(self, name, **labels):
        """(labels, value) of every sample of that name that has these labels."""
        return [(of, value) for known, of, value in self.samples
                if known == name and all(of.get(key) == want for key, want in labels.items())]

    def sum(self, name, **labels):
        """0 where there is none."""
        return sum(value for _, value in self.each(name, **labels))

    def children(self):
        """Of every family each set of labels, as one text, and how many series it has: a histogram several."""
        found = collections.Counter()
        for name, labels, _ in self.samples:
            family, _, part = name.rpartition("_")
            own = self.families.get(family, ("", ""))[0] == "histogram" and part in ("bucket", "sum", "count")
            shown = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items())
                             if not (own and key == "le"))
            found[f"{family if own else name}{{{shown}}}"] += 1
        return found

    def max(self, name, **labels):
        """0 where there is none."""
        return max((value for _, value in self.each(name, **labels)), default=0)


def scrape(address, timeout_s=5):
    """Samples of HOST:PORT; OSError where it cannot be had."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=timeout_s) as answer:
        return Samples(answer.read().decode("utf-8"))
