"""values.schema.json, from the values' types: nothing that values.yaml does not name is taken."""

import json
import pathlib

from config_schema import config_definitions

_SHAPES = pathlib.Path(__file__).resolve().parent / "kubernetes_shapes.json"
# What every Helm 3 and 4 reads.
_DRAFT = "http://json-schema.org/draft-07/schema#"
# A Deployment's name is made of it and of the release's: 63 characters in all.
_POOL_NAME = "^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$"


class UnknownType(ValueError):
    """A @param's type that has no schema."""


def _of_value(value, shapes):
    kind, _, argument = value.type.partition(" ")
    if kind == "enum":
        return {"enum": argument.split("|")}
    if kind == "config":
        return {"$ref": f"#/definitions/config.{argument}"}
    if kind == "text":  # never empty
        return {"type": "string", "minLength": 1}
    simple = {
        "boolean": {"type": "boolean"},
        "string": {"type": "string"},
        "count": {"type": "integer", "minimum": 0},
        "positive": {"type": "integer", "minimum": 1},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "experts": {
            "type": "object",
            "propertyNames": {"pattern": _POOL_NAME},
            "additionalProperties": {"$ref": "#/definitions/expert"},
        },
    }
    if kind in simple:
        return simple[kind]
    if kind in shapes:
        return {"$ref": f"#/definitions/{kind}"}
    raise UnknownType(f"values.yaml, {'.'.join(value.path)}: no type {value.type!r}")


def _section():
    return {"type": "object", "additionalProperties": False, "properties": {}}


def values_schema(values):
    shapes = json.loads(_SHAPES.read_text(encoding="utf-8"))
    top = _section()
    for value in values:
        at = top
        for key in value.path[:-1]:
            at = at["properties"].setdefault(key, _section())
        at["properties"][value.path[-1]] = {
            "description": value.meaning,
            **_of_value(value, shapes),
        }
    # Helm hands every chart what a parent chart calls global.
    top["properties"]["global"] = {"type": "object"}
    # A pool may say all that the common part may.
    expert = top["properties"]["expert"]
    top["properties"]["expert"] = {"$ref": "#/definitions/expert"}
    messages = [value.type.split(" ")[1] for value in values if value.type.startswith("config ")]
    definitions = {"expert": expert, **shapes, **config_definitions(messages)}
    return {"$schema": _DRAFT, **top, "definitions": definitions}
