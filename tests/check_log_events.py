#!/usr/bin/env python3
"""Checks the log: `check_log_events.py ROOT` compares events in the sources with docs/logs.md, and
finds lines that are written past common/logging.
"""

import pathlib
import re
import sys

FOLDERS = ("common", "gateway", "router_service", "expert_service", "cli")
# LogInfo("ready"), LogEvent(level, "drain", ...), LogEvent event(open ? ... : ..., "breaker"),
# {LogLevel::kError, "request_failed"}
EVENT = re.compile(
    r'\bLog(?:Debug|Info|Warning|Error)\(\s*"(\w+)"'
    r'|\bLogEvent(?: \w+)?\((?:[^;"]*?),\s*"(\w+)"'
    r'|\{LogLevel::\w+, "(\w+)"\}'
    # By a library's name.
    r'|\bLogWords\("(\w+)"'
)
PAST_THE_LOG = re.compile(r"spdlog")
MANUAL = "docs/logs.md"


def sources(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.cc")):
            yield path, path.read_text(encoding="utf-8")


def in_sources(root):
    """{event: the first file that has it}"""
    found = {}
    for path, text in sources(root):
        for match in EVENT.finditer(text):
            name = next(group for group in match.groups() if group)
            found.setdefault(name, path.relative_to(root).as_posix())
    return found


def in_manual(root):
    rows = re.findall(r"^\| (`[^|]+`) \|", (root / MANUAL).read_text(encoding="utf-8"), re.M)
    fields = {"format", "level", "max_lines_per_second"}
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)} - fields


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    known, told = in_sources(root), in_manual(root)
    wrong = [f"{known[name]}: event {name} is not in {MANUAL}" for name in sorted(set(known) - told)]
    wrong += [f"{MANUAL}: no source has the event {name}" for name in sorted(told - set(known))]
    for path, text in sources(root):
        if PAST_THE_LOG.search(text):
            wrong.append(f"{path.relative_to(root).as_posix()}: wanted LogInfo and its like of "
                         "common/logging/log.h, got spdlog")
    for line in wrong:
        print(line)
    print(f"{len(known)} events, {len(wrong)} problems")
    sys.exit(1 if wrong or len(known) < 20 else 0)


if __name__ == "__main__":
    main()
