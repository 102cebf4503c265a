#!/usr/bin/env python3
"""check_docs.py ROOT: every file that the documentation names is there, and every link leads somewhere."""

import pathlib
import re
import sys

NAMED = re.compile(r"`((?:common|gateway|router_service|expert_service|kernels|cli|proto|tests|bench|deploy|examples|docs)/[\w./-]+\.\w+)`")
LINK = re.compile(r"\]\(([^)#:]+)\)")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    pages = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("kernels/*.md"), *root.glob("tests/*.md")]
    problems, checked = [], 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for name in NAMED.findall(text):
            checked += 1
            if not (root / name).exists():
                problems.append(f"{page.relative_to(root)} names {name}, which is not there")
        for link in LINK.findall(text):
            checked += 1
            if not (page.parent / link).exists():
                problems.append(f"{page.relative_to(root)} links to {link}, which is not there")
    for problem in problems:
        print(problem)
    print(f"{len(pages)} pages, {checked} names and links, {len(problems)} problems")
    sys.exit(1 if problems or checked == 0 else 0)


if __name__ == "__main__":
    main()
