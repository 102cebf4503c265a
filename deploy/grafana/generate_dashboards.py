#!/usr/bin/env python3
"""generate_dashboards.py [--check]: writes dashboards/*.json, or says which are not current."""

import argparse
import json
import pathlib
import sys

import experts
import overview
import reliability
import routing

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"
DASHBOARDS = [overview.DASHBOARD, routing.DASHBOARD, experts.DASHBOARD, reliability.DASHBOARD]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; 1 where a file is not current"
    )
    arguments = parser.parse_args()
    texts = {
        FOLDER / f"{dashboard.name}.json": json.dumps(dashboard.json(), indent=1) + "\n"
        for dashboard in DASHBOARDS
    }
    strangers = set(FOLDER.glob("*.json")) - set(texts)
    if not arguments.check:
        FOLDER.mkdir(exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        for path in strangers:
            path.unlink()
        return
    wrong = [
        path
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in wrong + sorted(strangers):
        print(f"{path.name} is not what deploy/grafana/generate_dashboards.py writes; run it")
    print(f"{len(texts)} dashboards, {len(wrong) + len(strangers)} not current")
    sys.exit(1 if wrong or strangers else 0)


if __name__ == "__main__":
    main()
