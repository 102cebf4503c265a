"""What protos publish: messages, enums and services by full name, as protoc understands them.

protoc compiles the files and prints their descriptors as text, so nothing here parses .proto files,
and Python's protobuf is not needed. A surface is written one line a field, so that a change of it
reads well.
"""

import dataclasses
import pathlib
import re
import subprocess

_TOKEN = re.compile(r"\s*(?:(?P<close>\})|(?P<open>\w+) \{|(?P<name>\w+): "
                    r'(?P<value>"(?:[^"\\]|\\.)*"|\S+))')
# The end of a range of reserved numbers that says `to max`, as descriptors tell it.
_MAX_OF_MESSAGES, _MAX_OF_ENUMS = 536870912, 2147483647


@dataclasses.dataclass
class Type:
    """A message, an enum or a service."""

    kind: str
    name: str
    file: str
    # message: number -> (name, type with label and oneof); enum: number -> names; service: name ->
    # what goes in and comes out
    members: dict = dataclasses.field(default_factory=dict)
    reserved_numbers: list = dataclasses.field(default_factory=list)  # (first, last)
    reserved_names: set = dataclasses.field(default_factory=set)

    def reserves(self, number):
        return any(first <= number <= last for first, last in self.reserved_numbers)


class BadProtos(RuntimeError):
    """protoc refused the files; the text is what it says."""


def surface_of(root):
    """{full name: Type} of every .proto under `root`."""
    root = pathlib.Path(root)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    if not files:
        raise BadProtos(f"{root}: no .proto files")
    descriptors = _protoc(["--descriptor_set_out=/dev/stdout", *files], root)
    decode = ["--decode=google.protobuf.FileDescriptorSet", "google/protobuf/descriptor.proto"]
    text = _protoc(decode, root, descriptors).decode("utf-8")
    types = {}
    for file in _parse(text).get("file", []):
        package = _one(file, "package", "")
        for kind in ("message_type", "enum_type", "service"):
            for one in file.get(kind, []):
                _add(types, kind, one, package, _one(file, "name"))
    return types


def _protoc(arguments, root, given=None):
    # descriptor.proto comes with protoc, but not everywhere where protoc looks by itself.
    include = pathlib.Path("/usr/include")
    paths = ["-I", root] + (["-I", include] if include.is_dir() else [])
    try:
        done = subprocess.run(["protoc", *map(str, paths), *arguments], input=given,
                              capture_output=True, check=False)
    except FileNotFoundError:
        raise BadProtos("protoc is not installed (Debian's protobuf-compiler)") from None
    if done.returncode != 0:
        raise BadProtos(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout


def _parse(text):
    """Protobuf's text format as nested dicts of lists."""
    stack = [{}]
    at = 0
    while (token := _TOKEN.match(text, at)) is not None:
        at = token.end()
        if token["close"]:
            stack.pop()
        elif token["open"]:
            inner = {}
            stack[-1].setdefault(token["open"], []).append(inner)
            stack.append(inner)
        else:
            value = token["value"]
            stack[-1].setdefault(token["name"], []).append(
                value[1:-1] if value.startswith('"') else value)
    if text[at:].strip() or len(stack) != 1:
        raise BadProtos(f"protoc printed what is no text format: {text[at:at + 80]!r}")
    return stack[0]


def _one(of, name, otherwise=None):
    values = of.get(name, [])
    return values[0] if values else otherwise


def _add(types, kind, one, scope, file):
    name = f"{scope}.{_one(one, 'name')}" if scope else _one(one, "name")
    if kind == "service":
        made = Type("service", name, file)
        for method in one.get("method", []):
            made.members[_one(method, "name")] = _method(method)
    elif kind == "enum_type":
        made = Type("enum", name, file)
        for value in one.get("value", []):
            number = int(_one(value, "number", "0"))
            names = made.members.get(number, "")
            made.members[number] = f"{names} {_one(value, 'name')}".strip()
        # Of enums the last number is told, of messages the one after it.
        _reserve(made, one, 0)
    else:
        made = Type("message", name, file)
        entries = {f".{name}.{_one(inner, 'name')}": inner for inner in one.get("nested_type", [])
                   if _one(_one(inner, "options", {}), "map_entry") == "true"}
        oneofs = [_one(oneof, "name") for oneof in one.get("oneof_decl", [])]
        for field in one.get("field", []):
            made.members[int(_one(field, "number"))] = (_one(field, "name"),
                                                        _field_type(field, entries, oneofs))
        _reserve(made, one, 1)
        for inner in one.get("nested_type", []):
            if f".{name}.{_one(inner, 'name')}" not in entries:
                _add(types, "message_type", inner, name, file)
        for inner in one.get("enum_type", []):
            _add(types, "enum_type", inner, name, file)
    types[name] = made


def _reserve(made, one, beyond):
    for part in one.get("reserved_range", []):
        made.reserved_numbers.append((int(_one(part, "start", "0")),
                                      int(_one(part, "end", "0")) - beyond))
    made.reserved_numbers.sort()
    made.reserved_names.update(one.get("reserved_name", []))


def _method(method):
    asked, answered = (_one(method, of).lstrip(".") for of in ("input_type", "output_type"))
    asked = f"stream {asked}" if _one(method, "client_streaming") == "true" else asked
    answered = f"stream {answered}" if _one(method, "server_streaming") == "true" else answered
    return f"({asked}) returns ({answered})"


def _scalar(field):
    named = _one(field, "type_name")
    return named.lstrip(".") if named else _one(field, "type")[len("TYPE_"):].lower()


def _field_type(field, entries, oneofs):
    if _one(field, "type_name") in entries:
        parts = {int(_one(part, "number")): _scalar(part)
                 for part in entries[_one(field, "type_name")]["field"]}
        return f"map<{parts[1]}, {parts[2]}>"
    text = _scalar(field)
    if _one(field, "label") == "LABEL_REPEATED":
        packed = _one(_one(field, "options", {}), "packed")
        return f"repeated {text}" + ("" if packed is None else f" [packed = {packed}]")
    if _one(field, "proto3_optional") == "true":
        return f"optional {text}"
    if _one(field, "oneof_index") is not None:
        return f"oneof {oneofs[int(_one(field, 'oneof_index'))]} {text}"
    return text


def write(types):
    """The surface as text; `read` makes the same of it again."""
    lines = []
    for name in sorted(types):
        made = types[name]
        lines.append(f"{made.kind} {name}  {made.file}")
        for key in sorted(made.members):
            member = made.members[key]
            if made.kind == "message":
                lines.append(f"  {key} {member[0]}: {member[1]}")
            else:
                lines.append(f"  {key} {member}")
        most = _MAX_OF_MESSAGES - 1 if made.kind == "message" else _MAX_OF_ENUMS
        for first, last in made.reserved_numbers:
            upper = "max" if last == most else last
            lines.append(f"  reserved {first}" + ("" if first == last else f" to {upper}"))
        lines += [f'  reserved "{reserved}"' for reserved in sorted(made.reserved_names)]
    return "\n".join(lines) + "\n"


_HEAD = re.compile(r"^(message|enum|service) (\S+)  (\S+)$")
_RESERVED = re.compile(r'^  reserved (?:"(?P<name>\w+)"|'
                       r"(?P<first>-?\d+)(?: to (?P<last>-?\d+|max))?)$")
_MEMBER = re.compile(r"^  (-?\d+|\w+) (.+)$")


def read(text):
    """ValueError names the line that is none of a surface."""
    types, made = {}, None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        head, reserved, member = _HEAD.match(line), _RESERVED.match(line), _MEMBER.match(line)
        if head:
            made = types[head[2]] = Type(*head.groups())
        elif made is not None and reserved and reserved["name"]:
            made.reserved_names.add(reserved["name"])
        elif made is not None and reserved:
            first = int(reserved["first"])
            most = _MAX_OF_MESSAGES - 1 if made.kind == "message" else _MAX_OF_ENUMS
            last = most if reserved["last"] == "max" else int(reserved["last"] or first)
            made.reserved_numbers.append((first, last))
        elif made is not None and member and made.kind == "message" and ": " in member[2]:
            made.members[int(member[1])] = tuple(member[2].split(": ", 1))
        elif made is not None and member and made.kind != "message":
            made.members[int(member[1]) if made.kind == "enum" else member[1]] = member[2]
        else:
            raise ValueError(f"line {number}: wanted a message, enum, service or one of its "
                             f"members, got '{line}'")
    return types
