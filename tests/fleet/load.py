"""Load generators: `penstock load`, several at once."""

import json

from .process import NotReady, Process


class Load(Process):
    """One generator; its figures once it has ended."""

    def __init__(self, name, command, folder, within=()):
        folder.mkdir()
        self.requests_path = folder / "requests.jsonl"
        self.output_path = folder / "output.json"
        super().__init__(name, [*command, "--requests", self.requests_path], folder / "log", within)

    def start(self):
        with open(self.output_path, "wb") as output:
            self.launch(stdout=output)
        return self

    def await_first(self, patience_s=60):
        """Returns once a request has ended: the generator has built what it sends."""
        self.wait_until(lambda: self.requests_path.exists() and self.requests_path.stat().st_size > 0,
                        "first request", patience_s)

    def result(self, patience_s=600):
        """The JSON of `penstock load`; waits for its end. NotReady where it failed."""
        self.process.wait(patience_s)
        text = self.output_path.read_text(encoding="utf-8")
        if self.process.returncode != 0 or not text:
            raise NotReady(f"{self.name} ended with {self.process.returncode}:\n{self.log_end()}")
        return json.loads(text)

    def requests(self):
        """Every request so far, as told by `--requests`."""
        return [line for line in read_requests(self.requests_path)[0] if "due" in line]


def read_requests(path, offset=0):
    """Of a file of `penstock load --requests`, from `offset` on: (its whole lines, where they end). Lines
    are requests that ended (`due`) or second attempts (`retried`)."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data[:data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


def load_command(binaries, targets, pool, inputs, *, rate=None, concurrency=None, duration_s=10,
                 timeout_s=2, rows=1, seed=1, arguments=()):
    """The command of one generator; `targets` are services or addresses, `inputs` a text or several."""
    addresses = [target if isinstance(target, str) else target.grpc for target in targets]
    command = [binaries / "penstock", "load", "--json", "--target", ",".join(addresses), "--pool",
               pool, "--duration_s", duration_s, "--timeout_s", timeout_s, "--seed", seed]
    for text in [inputs] if isinstance(inputs, str) else inputs:
        command += ["--input", text]
    command += ["--rows", rows] if rows > 1 else []
    command += ["--rate", rate] if rate else ["--concurrency", concurrency or 1]
    return [*command, *arguments]


def start_load(fleet, targets, pool, inputs, *, name="load", **options):
    """Starts a generator of `fleet`; see load_command for the options."""
    return fleet.start_load(name, load_command(fleet.binaries, targets, pool, inputs, **options))
