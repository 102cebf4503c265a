#!/usr/bin/env python3
"""Whether the protos still are what others were told that they are: see --help."""

import argparse
import pathlib
import sys

import proto_surface

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = """# What the protos under proto/ publish: processes of another version, stored files and
# other people's clients go by it. tests/compat/check_protos.py holds the protos to it; its --update
# writes this.
"""


def breaks(was, now):
    """Texts for what `now` does not keep of `was`: file, message, field, what was and what is."""
    found = []
    for name, before in was.items():
        after = now.get(name)
        where = f"{before.file}: {before.kind} {name}"
        if after is None:
            found.append(f"{where}: was there, is gone")
        elif after.kind != before.kind:
            found.append(f"{where}: was {_article(before.kind)}, is {_article(after.kind)}")
        elif before.kind == "service":
            found += _of_service(f"{after.file}: service {name}", before, after)
        else:
            found += _of_numbers(f"{after.file}: {after.kind} {name}", before, after)
    return found


def additions(was, now):
    """Texts for all of `now` that `was` does not know."""
    found = []
    for name, after in now.items():
        before = was.get(name)
        if before is None:
            found.append(f"{after.file}: {after.kind} {name}")
            continue
        if before.kind != after.kind:
            continue
        for key, member in after.members.items():
            if key not in before.members:
                found.append(f"{after.file}: {after.kind} {name}: {_told(after, key, member)}")
        if (after.reserved_numbers, after.reserved_names) != (before.reserved_numbers,
                                                              before.reserved_names):
            found.append(f"{after.file}: {after.kind} {name}: what is reserved")
        if before.file != after.file:
            found.append(f"{after.file}: {after.kind} {name}: its file, which was {before.file}")
    return found


def _article(kind):
    return f"an {kind}" if kind == "enum" else f"a {kind}"


def _told(of, key, member):
    if of.kind == "message":
        return f"field {key} ({member[1]} {member[0]})"
    return f"value {key} ({member})" if of.kind == "enum" else f"rpc {key}{member}"


def _names(of, member):
    return {member[0]} if of.kind == "message" else set(member.split())


def _of_service(where, before, after):
    found = []
    for rpc, types in before.members.items():
        if rpc not in after.members:
            found.append(f"{where}: rpc {rpc}: was {types}, is gone")
        elif after.members[rpc] != types:
            found.append(f"{where}: rpc {rpc}: was {types}, is {after.members[rpc]}")
    return found


def _of_numbers(where, before, after):
    """Of a message's fields or an enum's values."""
    found = []
    numbers = {name: key for key, member in after.members.items() for name in _names(after, member)}
    for key, member in before.members.items():
        was = _told(before, key, member)
        if key in after.members:
            if after.members[key] != member:
                found.append(f"{where}: number {key}: was {was}, is "
                             f"{_told(after, key, after.members[key])}")
            continue
        missing = sorted(_names(before, member) - after.reserved_names)
        moved = [f"{name} has number {numbers[name]}" for name in missing if name in numbers]
        if moved:
            found.append(f"{where}: was {was}, {', '.join(moved)} instead")
        elif not after.reserves(key) or missing:
            lacks = ([f"number {key}"] if not after.reserves(key) else []) + [
                f'name "{name}"' for name in missing]
            found.append(f"{where}: was {was}, is gone without `reserved` of {' and '.join(lacks)}")
    for first, last in before.reserved_numbers:
        used = [number for number in after.members if first <= number <= last]
        for number in used:
            found.append(f"{where}: number {number}: was reserved, is "
                         f"{_told(after, number, after.members[number])}")
        free = first
        for begin, end in sorted(after.reserved_numbers + [(number, number) for number in used]):
            if begin <= free:
                free = max(free, end + 1)
        if free <= last:
            found.append(f"{where}: numbers {first} to {last}: were reserved, {free} is not any "
                         "more")
    for name in sorted(before.reserved_names - after.reserved_names):
        found.append(f'{where}: name "{name}": was reserved, is not')
    return found


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description="Compares the protos with the surface that is stored. Exit code 1 where a "
        "field's or enum value's number, name, type, label, presence or oneof is another, where "
        "one is gone and its number and name are not both reserved, where what was reserved is not "
        "any more, where an RPC is gone or its types are others, where a message, enum or service "
        "is gone; and where something is new that the stored surface does not know yet, so that it "
        "is held from its first day.")
    parser.add_argument("--protos", type=pathlib.Path, default=ROOT / "proto",
                        help="folder of the protos")
    parser.add_argument("--surface", type=pathlib.Path,
                        default=ROOT / "tests/compat/proto_surface.txt", help="the stored surface")
    parser.add_argument("--update", action="store_true",
                        help="write the protos' surface; says which breaks it takes for granted")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        now = proto_surface.surface_of(options.protos)
    except proto_surface.BadProtos as why:
        print(f"error: {why}")
        return 1
    try:
        was = proto_surface.read(options.surface.read_text(encoding="utf-8"))
    except (OSError, ValueError) as why:
        if not options.update:
            print(f"error: --surface {options.surface}: {why}")
            return 1
        was = {}
    broken = breaks(was, now)
    for text in broken:
        print(f"{'taken for granted' if options.update else 'broken'}: {text}")
    if options.update:
        options.surface.write_text(HEAD + proto_surface.write(now), encoding="utf-8")
        print(f"{options.surface}: {len(now)} messages, enums and services")
        return 0
    fresh = additions(was, now)
    for text in fresh:
        print(f"not in the stored surface: {text}")
    if fresh and not broken:
        print("nothing is broken: tests/compat/check_protos.py --update takes it up")
    members = sum(len(of.members) for of in was.values())
    print(f"{len(was)} messages, enums and services, {members} fields, values and RPCs: "
          f"{len(broken)} broken, {len(fresh)} new")
    return 1 if broken or fresh or not members else 0


if __name__ == "__main__":
    sys.exit(main())
