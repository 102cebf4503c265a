"""Reads values.yaml: path, default, type and meaning of every value, from the comments above them.

A value is a line `key: default` under a comment `# @param [type] meaning`, which goes on in lines
that are indented behind their `#`; a section is a line `key:`. Defaults stand on their key's line,
so that no YAML parser is needed here.
"""

import re
from typing import NamedTuple

_PARAM = re.compile(r"^ *# @param (?:\[(?P<type>[^\]]+)\] )?(?P<meaning>\S.*)$")
_MORE = re.compile(r"^ *#   (?P<meaning>\S.*)$")
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]\w*):(?: +(?P<default>\S.*))?$")


class Value(NamedTuple):
    path: tuple
    type: str
    default: str
    meaning: str


class Malformed(ValueError):
    """values.yaml, line: what is wrong."""


def _type_of(default):
    if default in ("true", "false"):
        return "boolean"
    if re.fullmatch(r"\d+", default):
        return "count"
    return "string"


def read_values(text):
    """Every value, in the file's order."""
    values, sections, param = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            found, more = _PARAM.match(line), _MORE.match(line)
            if found and param:
                raise Malformed(f"values.yaml, line {number}: a second @param before a value")
            if found:
                param = found.groupdict()
            elif more and param:
                param["meaning"] += f" {more['meaning']}"
            continue
        found = _KEY.match(line)
        if not found:
            raise Malformed(
                f"values.yaml, line {number}: wanted `key:` or `key: default`, got {line!r}"
            )
        depth, odd = divmod(len(found["indent"]), 2)
        if odd or depth > len(sections):
            raise Malformed(f"values.yaml, line {number}: indented by {len(found['indent'])}")
        del sections[depth:]
        if found["default"] is None:
            if param:
                raise Malformed(f"values.yaml, line {number}: @param above a section")
            sections.append(found["key"])
            continue
        path = (*sections, found["key"])
        if not param:
            raise Malformed(f"values.yaml, line {number}: {'.'.join(path)} has no @param")
        default = found["default"]
        values.append(Value(path, param["type"] or _type_of(default), default, param["meaning"]))
        param = None
    if param:
        raise Malformed("values.yaml: @param at the end, without a value")
    return values
