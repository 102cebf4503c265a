"""What a long test asked and how it came out: a line each, JSON and an exit code at the end."""

import json
import sys
import time


class Checks:
    """One row a question; `told` is what was seen."""

    def __init__(self):
        self.rows = []
        self._began = time.monotonic()

    def seconds(self):
        return time.monotonic() - self._began

    def that(self, what, good, told=""):
        self.rows.append({"what": what, "good": bool(good), "told": str(told)})
        shown = f": {told}" if told or not good else ""
        print(f"{'ok  ' if good else 'FAIL'}  {what}{shown}", flush=True)

    def end(self, path=None):
        """Exits: 1 where one failed, or none was asked. `path`: of the JSON, if wanted."""
        failed = [row for row in self.rows if not row["good"]]
        print(f"{len(self.rows)} checks, {len(failed)} failed, {self.seconds():.0f} s")
        if path:
            told = {"seconds": round(self.seconds(), 1), "checks": self.rows}
            path.write_text(json.dumps(told, indent=1), encoding="utf-8")
        sys.exit(1 if failed or not self.rows else 0)
