"""Penstock's services as processes of a fleet."""

import json

from .ports import free_port
from .process import NotReady, Process


class Service(Process):
    """A gateway, router, expert or `penstock serve`; keeps its addresses when it is started again.

    `config` is a dict (changed by whoever likes, for a restart or write_config(); JSON is YAML) or a text in
    YAML. In a dict, ports that are 0 are replaced by free ones before it is first written: a service reads
    its file again, and its addresses must not have changed there. In a text a restart keeps the ports only
    where they are written.
    """

    def __init__(self, name, command, config, folder, within=()):
        folder.mkdir()
        super().__init__(name, [*command, "--config", folder / "config.yaml", "--ready_file",
                                folder / "ready"], folder / "log", within)
        self.config = config
        self.folder = folder
        self.grpc = self.metrics = self.page = ""

    def start(self, patience_s=60):
        """Returns once it accepts calls."""
        if self.running():
            raise RuntimeError(f"{self.name} runs already")
        for attempt in range(20):
            chosen = self._choose_ports()
            try:
                return self._start(patience_s)
            except NotReady as why:
                # Another process took a port that was free, or somebody's outgoing connection has it for
                # a moment.
                if "cannot listen on" not in str(why) or attempt == 19:
                    raise
                for key, address in chosen.items():
                    self.config["server"][key] = address
        raise AssertionError("not reached")

    def restart(self, patience_s=60):
        """Starts it again, at its old addresses, after kill() or stop()."""
        return self.start(patience_s)

    def _choose_ports(self):
        """Puts a free port in place of each 0; what stood there before."""
        server = self.config.get("server", {}) if isinstance(self.config, dict) else {}
        chosen = {key: address for key, address in server.items()
                  if key in ("grpc", "metrics") and address.endswith(":0")}
        for key, address in chosen.items():
            host = address.rpartition(":")[0]
            # In a network of its own its address is not here, and any port is as good.
            server[key] = f"{host}:{free_port('127.0.0.1' if self.within else host)}"
        return chosen

    def _start(self, patience_s):
        self.write_config()
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        begins = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.launch()
        try:
            self.wait_until(lambda: ready.exists() and ready.read_text().endswith("\n"), "ready line",
                            patience_s)
        except NotReady as why:
            # Of this attempt only: what stopped an earlier one is no reason to try again.
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                log.seek(begins)
                raise NotReady(f"{str(why).splitlines()[0]}\n{log.read()[-8000:]}") from None
        words = dict(word.split("=", 1) for word in ready.read_text().split() if "=" in word)
        self.grpc, self.metrics = words["grpc"], words.get("metrics", "")
        self.page = words.get("http", "-")
        return self

    def write_config(self):
        """Replaces the file in one step; a service that runs reads it again."""
        text = self.config if isinstance(self.config, str) else json.dumps(self.config, indent=1)
        fresh = self.folder / "config.new"
        fresh.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        fresh.rename(self.folder / "config.yaml")
