"""The fleet: whatever a test started, ended when the test does, however it does."""

import atexit
import copy
import pathlib
import shutil
import signal
import sys
import tempfile

from .certificates import Certificates
from .load import Load
from .network import Network, Unavailable
from .process import NotReady, Process
from .redis import Redis
from .service import Service

__all__ = ["Fleet", "NotReady", "Unavailable"]

_SERVER = {"grpc": "{host}:0", "metrics": "{host}:0", "drain": {"grace": "0.2s", "timeout": "10s"}}


class Fleet:
    """Use as a context: everything ends at its end, at the interpreter's and on SIGTERM.

    With SIGKILL the processes end too, but namespaces and files stay. Files, logs among them, are under
    `folder`, and are kept where the context ends by an exception or keep() was called.
    """

    def __init__(self, binaries, *, keep_files=False):
        self.binaries = pathlib.Path(binaries).resolve()
        if not (self.binaries / "penstock-gateway").exists():
            raise NotReady(f"--bin {binaries}: has no penstock-gateway")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-fleet-"))
        self.processes = []
        self._counts = {}
        self._network = None
        self._keep = keep_files
        self._closed = False
        atexit.register(self.close)
        self._terminated = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    # What is started. All of these return once the process accepts calls.

    def expert(self, config, *, host=None, name="expert", environment=None):
        return self.service(["penstock-expert"], config, host=host, name=name,
                            environment=environment)

    def router(self, config, *, host=None, name="router"):
        return self.service(["penstock-router"], config, host=host, name=name)

    def gateway(self, config, *, host=None, name="gateway"):
        """A dict without `page` gets none: its default address is one for the whole machine."""
        if isinstance(config, dict):
            config = {"page": {"http": "off"}, **config}
        return self.service(["penstock-gateway"], config, host=host, name=name)

    def service(self, command, config, *, host=None, name, environment=None):
        """A dict gets `server` with free ports and metrics, unless it says otherwise. `environment`: variables
        beside the test's own."""
        if isinstance(config, dict):
            config = copy.deepcopy(config)
            server = config.setdefault("server", {})
            for key, value in copy.deepcopy(_SERVER).items():
                text = value.format(host=_address(host)) if isinstance(value, str) else value
                server.setdefault(key, text)
        binary, *arguments = command
        unique, folder = self._new(name)
        variables = [f"{key}={value}" for key, value in (environment or {}).items()]
        command = [*(["env", *variables] if variables else []), self.binaries / binary, *arguments]
        return self._started(Service(unique, command, config, folder, _within(host)))

    def redis(self, *, host=None, name="redis", **options):
        """`certificates`: TLS; `arguments`: of redis-server; `sentinel_of`: (name, Redis, quorum)."""
        unique, folder = self._new(name)
        return self._started(Redis(unique, folder, _address(host), within=_within(host), **options))

    def start_load(self, name, command, *, host=None):
        unique, folder = self._new(name)
        return self._started(Load(unique, command, folder, _within(host)))

    def command(self, name, command, *, host=None):
        """Any other process, started."""
        unique, folder = self._new(name)
        folder.mkdir()
        process = Process(unique, command, folder / "log", _within(host))
        process.launch()
        self.processes.append(process)
        return process

    def host(self, name):
        """A network namespace of its own. Unavailable says why there is none."""
        if self._network is None:
            self._network = Network()
        return self._network.add(name)

    def certificates(self, name="penstock.test", days=2):
        return Certificates(self.folder / f"certificates-{name}-{days}", name, days)

    # How it ends.

    def keep(self):
        """Keeps the files, whatever the test's end."""
        self._keep = True

    def end(self, services=None):
        """SIGTERM to all at once, or only to `services`; a text for each service that had ended by itself,
        or did not end with 0."""
        processes = self.processes if services is None else list(services)
        wrong = [process.ended() for process in processes
                 if isinstance(process, Service) and not process.running()]
        alive = [process for process in processes if process.running()]
        for process in alive:
            process.go_on()
            process.terminate()
        for process in alive:
            try:
                code = process.stop()
                how = f"{process.name} ended with {code} when it was told to stop:\n{process.log_end()}"
            except NotReady as why:
                code, how = None, str(why)
            if code != 0 and isinstance(process, Service):
                wrong.append(how)
        return wrong

    def close(self):
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        for process in self.processes:
            process.kill()
        if self._network is not None:
            self._network.close()
        signal.signal(signal.SIGTERM, self._terminated)
        if self._keep:
            print(f"logs: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and kind is not SystemExit:
            self.keep()
        self.close()

    def _new(self, name):
        """The name, with a number where it is taken, and its folder."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        unique = name if count == 1 else f"{name}-{count}"
        return unique, self.folder / unique

    def _started(self, process):
        self.processes.append(process)
        process.start()
        return process


def _address(host):
    return "127.0.0.1" if host is None else host.address


def _within(host):
    return () if host is None else host.within
