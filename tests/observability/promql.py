"""What an expression in PromQL names, found without a parser: its syntax is promtool's to check."""

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABELS = re.compile(r"\{[^}]*\}")
_RANGE = re.compile(r"\[[^\]]*\]")
_OFFSET = re.compile(r"\boffset\s+\S+")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()")
_WORDS = {
    "and",
    "or",
    "unless",
    "bool",
    "group_left",
    "group_right",
    "Inf",
    "NaN",
    "inf",
    "by",
    "without",
    "sum",
    "min",
    "max",
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


def names_in(expression):
    """The series that an expression reads, as it writes them."""
    text = _STRING.sub('""', expression)
    for left_out in (_LABELS, _RANGE, _OFFSET, _GROUPING):
        text = left_out.sub(" ", text)
    return {name for name in _NAME.findall(text) if name not in _WORDS}


def families_in(expression, histograms):
    """The same, where a histogram's three kinds of series count as the histogram."""
    families = set()
    for name in names_in(expression):
        base = next(
            (
                name[: -len(end)]
                for end in _OF_HISTOGRAMS
                if name.endswith(end) and name[: -len(end)] in histograms
            ),
            name,
        )
        families.add(base)
    return families


def variables_in(text):
    """Names of Grafana's variables, `$name` or `${name}`."""
    return {braced or plain for braced, plain in _VARIABLE.findall(text)}
