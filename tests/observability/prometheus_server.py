"""Debian's Prometheus as a process of a fleet, with the repository's configuration and rules."""

import json
import pathlib
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request

from fleet import NotReady
from fleet.ports import free_port

# The repository's, and a test's: what takes minutes there takes seconds here.
INTERVALS = (
    ("scrape_interval: 5s", "scrape_interval: 1s"),
    ("evaluation_interval: 15s", "evaluation_interval: 1s"),
)
OWN_INTERVAL = re.compile(r"^    interval: \w+$", re.MULTILINE)


class PrometheusServer:
    """Scrapes `jobs`, addresses by job, once a second."""

    def __init__(self, fleet, root, jobs):
        folder = fleet.folder / "prometheus"
        shutil.copytree(pathlib.Path(root) / "deploy/prometheus", folder)
        text = (folder / "prometheus.yaml").read_text(encoding="utf-8")
        for theirs, ours in INTERVALS:
            if text.count(theirs) != 1:
                raise ValueError(f"deploy/prometheus/prometheus.yaml: wanted {theirs!r} once")
            text = text.replace(theirs, ours)
        (folder / "prometheus.yaml").write_text(text, encoding="utf-8")
        for path in (folder / "rules").iterdir():
            rules = path.read_text(encoding="utf-8")
            # Those of long windows, of which a test sees the first minutes.
            path.write_text(OWN_INTERVAL.sub("    interval: 1s", rules), encoding="utf-8")
        for path in (folder / "targets").iterdir():
            path.unlink()
        (folder / "targets/fleet.yaml").write_text(
            json.dumps(
                [
                    {"labels": {"job": job}, "targets": addresses}
                    for job, addresses in jobs.items()
                ]
            ),
            encoding="utf-8",
        )
        for attempt in range(10):
            self.address = f"127.0.0.1:{free_port()}"
            self.process = fleet.command(
                "prometheus-process",
                [
                    "prometheus",
                    f"--config.file={folder}/prometheus.yaml",
                    f"--storage.tsdb.path={fleet.folder}/prometheus-{attempt}",
                    f"--web.listen-address={self.address}",
                    "--log.level=warn",
                ],
            )
            try:
                self.process.wait_until(self._ready, "answer to /-/ready", 60)
                return
            except NotReady:
                if attempt == 9 or "address already in use" not in self.process.log_end():
                    raise

    def query(self, expression):
        """Samples at this moment, [(labels, value)]; ValueError where it does not parse."""
        found = self._get("query", query=expression)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    def rules(self):
        """(type, name, expression) of every rule that it has loaded."""
        return [
            (rule["type"], rule["name"], rule["query"])
            for group in self._get("rules")["groups"]
            for rule in group["rules"]
        ]

    def _get(self, what, **parameters):
        url = f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as why:
            raise ValueError(f"{parameters}: {why.read().decode('utf-8', 'replace')}") from None

    def _ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False
