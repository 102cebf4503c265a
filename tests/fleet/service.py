"""Penstock's services as processes of a fleet."""

import json

from .process import NotReady, Process


class Service(Process):
    """A gateway, router, expert or `penstock serve`; keeps its addresses when it is started again.

    `config` is a dict (changed by whoever likes before a restart; JSON is YAML) or a text in YAML. In a
    text a restart keeps the ports only where they are written there; in a dict they are filled in.
    """

    def __init__(self, name, command, config, folder, within=()):
        folder.mkdir()
        super().__init__(name, [*command, "--config", folder / "config.yaml", "--ready_file",
                                folder / "ready"], folder / "log", within)
        self.config = config
        self.folder = folder
        self.grpc = self.metrics = ""

    def start(self, patience_s=60):
        """Returns once it accepts calls."""
        if self.running():
            raise RuntimeError(f"{self.name} runs already")
        self.write_config()
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        self.launch()
        self.wait_until(lambda: ready.exists() and ready.read_text().endswith("\n"), "ready line",
                        patience_s)
        words = dict(word.split("=", 1) for word in ready.read_text().split() if "=" in word)
        self.grpc, self.metrics = words["grpc"], words.get("metrics", "")
        if isinstance(self.config, dict) and "server" in self.config:
            self.config["server"]["grpc"] = self.grpc
            if self.config["server"].get("metrics") != "off":
                self.config["server"]["metrics"] = self.metrics
        return self

    def restart(self, patience_s=60):
        """Starts it again, at its old addresses, after kill() or stop()."""
        for attempt in range(20):
            try:
                return self.start(patience_s)
            except NotReady as why:
                # Somebody's outgoing connection may have the port for a moment.
                if "ddress" not in str(why) or attempt == 19:
                    raise
        raise AssertionError("not reached")

    def write_config(self):
        """Replaces the file in one step; a service that runs reads it again."""
        text = self.config if isinstance(self.config, str) else json.dumps(self.config, indent=1)
        fresh = self.folder / "config.new"
        fresh.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        fresh.rename(self.folder / "config.yaml")
