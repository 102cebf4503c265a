"""redis-server and its sentinels as processes of a fleet; no persistence unless asked for."""

import socket
import subprocess

from .ports import free_port
from .process import NotReady, Process


class Redis(Process):
    """A redis-server at HOST:PORT; commands of tests go over its unix socket, whatever the network does."""

    def __init__(self, name, folder, host="127.0.0.1", port=None, certificates=None, arguments=(),
                 sentinel_of=None, within=()):
        folder.mkdir()
        self.folder, self.host, self.certificates = folder, host, certificates
        self.arguments = [str(argument) for argument in arguments]
        self.sentinel_of = sentinel_of  # (name of the master, its Redis, quorum)
        self.chosen_port = port
        self.port = port
        self.socket = folder / "redis.sock"
        super().__init__(name, [], folder / "log", within)

    @property
    def url(self):
        """The address as `store` takes it; of a sentinel its HOST:PORT."""
        place = f"{self.host}:{self.port}"
        if self.sentinel_of is not None:
            return place
        if self.certificates is None:
            return f"redis://{place}"
        return f"rediss://{place}?ca={self.certificates.ca}&server_name={self.certificates.name}"

    def start(self, patience_s=20):
        """Returns once it accepts connections. A restart keeps the port."""
        for attempt in range(10):
            if self.port is None:
                # In a network of its own any port is free.
                self.port = 6379 if self.within else free_port(self.host)
            self.command = self._command()
            self.socket.unlink(missing_ok=True)
            self.launch()
            try:
                self.wait_until(lambda: self._answers(), "answer to PING", patience_s)
                return self
            except NotReady:
                if attempt == 9 or "Address already in use" not in self.log_end():
                    raise
                if self.chosen_port is None:
                    self.port = None
        raise AssertionError("not reached")

    def restart(self, patience_s=20):
        return self.start(patience_s)

    def _command(self):
        bound = ["--unixsocket", self.socket, "--dir", self.folder, "--bind", self.host,
                 "--protected-mode", "no", "--daemonize", "no"]
        if self.sentinel_of is not None:
            master, of, quorum = self.sentinel_of
            path = self.folder / "sentinel.conf"
            if not path.exists():  # sentinels write what they find out into it
                path.write_text(f"sentinel monitor {master} {of.host} {of.port} {quorum}\n"
                                f"sentinel down-after-milliseconds {master} 1000\n"
                                f"sentinel failover-timeout {master} 5000\n", encoding="utf-8")
            return ["redis-sentinel", path, "--port", self.port, *bound, *self.arguments]
        command = ["redis-server", "--save", "", "--appendonly", "no"]
        if self.certificates is None:
            command += ["--port", self.port]
        else:
            command += ["--port", "0", "--tls-port", self.port, "--tls-auth-clients", "no",
                        "--tls-cert-file", self.certificates.certificate,
                        "--tls-key-file", self.certificates.key,
                        "--tls-ca-cert-file", self.certificates.ca]
        return [*command, *bound, *self.arguments]

    def launch(self, stdout=None):
        self.command = [str(part) for part in self.command]
        super().launch(stdout)

    def _answers(self):
        try:
            return self.ask("PING") == "PONG"
        except RuntimeError:
            return False

    def ask(self, *words, patience_s=10):
        """A command's answer as redis-cli prints it; RuntimeError with what Redis says where it refuses."""
        done = subprocess.run(["redis-cli", "-e", "-s", str(self.socket), *map(str, words)],
                              capture_output=True, text=True, timeout=patience_s, check=False)
        if done.returncode != 0 or done.stderr:
            raise RuntimeError(f"{self.name}: {words[0]}: {done.stderr}{done.stdout}")
        return done.stdout.rstrip("\n")

    def set_all(self, pairs, patience_s=10):
        """SETs keys to values, one after the other, over a connection of its own. (How many were set, what
        Redis said of the one that it refused; empty: it refused none.)"""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(patience_s)
            connection.connect(str(self.socket))
            answers = connection.makefile("r", encoding="utf-8")
            for count, words in enumerate(pairs):
                sent = "".join(f"${len(word)}\r\n{word}\r\n" for word in ("SET", *words))
                connection.sendall(f"*3\r\n{sent}".encode("ascii"))
                answer = answers.readline().rstrip("\r\n")
                if answer != "+OK":
                    return count, answer or "it closed the connection"
            return len(pairs), ""
