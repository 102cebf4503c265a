"""deploy/compose.yaml as data, and what the Compose specification lets it say."""

import pathlib
import re

import yaml

# Of the specification, what this file may use: a key that is not here is a mistake until somebody
# adds it here.
TOP = {"name", "services", "volumes"}
SERVICE = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "read_only",
    "restart",
    "security_opt",
    "stop_grace_period",
    "user",
    "volumes",
    "working_dir",
}
HEALTHCHECK = {"interval", "retries", "start_period", "test", "timeout"}
BUILD = {"context", "dockerfile", "target"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"(\d+(us|ms|s|m|h))+")
PORT = re.compile(r"127\.0\.0\.1:(\d+):(\d+)")


class ComposeFile:
    """`services` by name, anchors and merges resolved."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.folder = self.path.parent
        with open(path, encoding="utf-8") as file:
            self.whole = yaml.safe_load(file)
        self.services = self.whole["services"]

    def mounts(self, name):
        """[(path on this machine or None for a named volume, path in the container, options)]."""
        found = []
        for text in self.services[name].get("volumes", []):
            source, target, *options = text.split(":")
            place = (self.folder / source).resolve() if source.startswith((".", "/")) else None
            found.append((place, target, options))
        return found

    def problems(self):
        """What a reader of the specification would object to, and files that are not there."""
        found = [
            f"{key}: not known" for key in self.whole if key not in TOP and not key.startswith("x-")
        ]
        for name, service in self.services.items():
            found += [f"services.{name}.{text}" for text in self._of(name, service)]
        used = {
            text.split(":")[0]
            for service in self.services.values()
            for text in service.get("volumes", [])
        }
        found += [
            f"volumes.{name}: nobody mounts it"
            for name in self.whole.get("volumes", {})
            if name not in used
        ]
        return found

    def _of(self, name, service):
        found = [f"{key}: not known" for key in service if key not in SERVICE]
        if "image" not in service:
            found.append("image: wanted one")
        for key in set(service.get("build", {})) - BUILD:
            found.append(f"build.{key}: not known")
        for other, how in service.get("depends_on", {}).items():
            if other not in self.services:
                found.append(f"depends_on.{other}: no such service")
            elif how.get("condition") not in CONDITIONS:
                found.append(f"depends_on.{other}.condition: {how.get('condition')!r}")
            elif (
                how["condition"] == "service_healthy" and "healthcheck" not in self.services[other]
            ):
                found.append(f"depends_on.{other}: it has no healthcheck")
        found += self._of_healthcheck(service.get("healthcheck", {}))
        if not DURATION.fullmatch(service.get("stop_grace_period", "10s")):
            found.append(f"stop_grace_period: {service['stop_grace_period']!r}")
        for port in service.get("ports", []):
            if not PORT.fullmatch(port):
                found.append(f"ports: {port!r}, wanted 127.0.0.1:PORT:PORT")
        for source, target, options in self.mounts(name):
            if not target.startswith("/") or not set(options) <= {"ro"}:
                found.append(f"volumes: {target}:{':'.join(options)}")
            if source is not None and not source.exists():
                found.append(f"volumes: {source} is not there")
            if source is None and not any(
                text.split(":")[0] in self.whole.get("volumes", {})
                for text in service["volumes"]
                if text.split(":")[1] == target
            ):
                found.append(f"volumes: {target} is of no volume")
        return found

    @staticmethod
    def _of_healthcheck(check):
        found = [f"healthcheck.{key}: not known" for key in check if key not in HEALTHCHECK]
        if check and (not isinstance(check.get("test"), list) or check["test"][:1] != ["CMD"]):
            found.append("healthcheck.test: wanted [CMD, ...]; our image has no shell")
        found += [
            f"healthcheck.{key}: {check[key]!r}"
            for key in ("interval", "timeout", "start_period")
            if key in check and not DURATION.fullmatch(check[key])
        ]
        return found
