#!/usr/bin/env python3
"""check_tree.py ROOT: rules of the tree that need no compiler.

No source file over 500 lines (it would hold two concepts), and the README's table of folders names
folders that exist.
"""

import pathlib
import re
import sys

SOURCES = {".h", ".cc", ".cu", ".cuh", ".py", ".sh", ".proto", ".cmake"}
MOST_LINES = 500
LEFT_OUT = {"build", ".git", ".venv"}


def sources(root):
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if path.suffix in SOURCES and path.is_file() and not LEFT_OUT.intersection(parts):
            yield path


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    problems = []
    count = 0
    for path in sources(root):
        count += 1
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            problems.append(f"{path.relative_to(root)}: {lines} lines, more than {MOST_LINES}")
    folders = re.findall(r"^\| `([a-z_]+)/` \|", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    if len(folders) < 5:
        problems.append(f"README.md: its table names {len(folders)} folders")
    problems += [f"README.md names {folder}/, which is not there" for folder in folders if not (root / folder).is_dir()]
    for problem in problems:
        print(problem)
    print(f"{count} sources, {len(folders)} folders in the README, {len(problems)} problems")
    sys.exit(1 if problems or count == 0 else 0)


if __name__ == "__main__":
    main()
