"""JSON schema of the services' configurations, from proto/penstock/config/v1.

The services refuse unknown fields themselves; with this Helm does so before anything is installed.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "docs"))
import generate_configuration  # noqa: E402

# None of them takes a negative one.
_DURATION = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?s$"}
# Helm's numbers are doubles: beyond 2^53 an integer is written as a string.
_LARGE = [{"type": "string", "pattern": r"^-?[0-9]+$"}]
_SCALARS = {
    "bool": {"type": "boolean"},
    "string": {"type": "string"},
    "double": {"type": "number"},
    "float": {"type": "number"},
    "int32": {"type": "integer"},
    "uint32": {"type": "integer", "minimum": 0},
    "int64": {"anyOf": [{"type": "integer"}, *_LARGE]},
    "uint64": {"anyOf": [{"type": "integer", "minimum": 0}, *_LARGE]},
    "Duration": _DURATION,
}


class _Schema:
    def __init__(self):
        self.blocks = {}
        for name in generate_configuration.FILES:
            text = (generate_configuration.SCHEMA / f"{name}.proto").read_text(encoding="utf-8")
            self.blocks.update(
                {block["name"]: block for block in generate_configuration.parse(text)}
            )
        self.made = {}

    def named(self, owner, name):
        """The type that `name` means inside `owner`: its own, or of what surrounds it."""
        parts = owner.split(".")
        for depth in range(len(parts), -1, -1):
            full = ".".join([*parts[:depth], name])
            if full in self.blocks:
                return full
        raise KeyError(f"{owner}: type {name} is in none of the schema's files")

    def of_type(self, owner, type_name):
        repeated = re.fullmatch(r"repeated (.+)", type_name)
        if repeated:
            return {"type": "array", "items": self.of_type(owner, repeated[1])}
        mapped = re.fullmatch(r"map<\w+, *([\w.]+)>", type_name)
        if mapped:
            return {"type": "object", "additionalProperties": self.of_type(owner, mapped[1])}
        if type_name in _SCALARS:
            return _SCALARS[type_name]
        return self.reference(self.named(owner, type_name))

    def reference(self, name):
        key = f"config.{name}"
        if key not in self.made:
            self.made[key] = {}  # a message may hold itself
            block = self.blocks[name]
            if block["kind"] == "enum":
                self.made[key] = {"enum": [value for value, _, _ in block["rows"]]}
            else:
                self.made[key] = {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        field: self.of_type(name, kind) for field, kind, _ in block["rows"]
                    },
                }
        return {"$ref": f"#/definitions/{key}"}


def config_definitions(roots):
    """Definitions of the messages `roots` and all that they hold, named `config.MESSAGE`."""
    schema = _Schema()
    for root in roots:
        schema.reference(root)
    return schema.made
