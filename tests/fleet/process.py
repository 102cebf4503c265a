"""One process of a fleet: its log, and the signals that tests send."""

import signal
import subprocess
import time


class NotReady(RuntimeError):
    """A process that ended, or did not get ready in time; the text holds its log's end."""


class Process:
    """A command that can be killed, paused and started again.

    Start it from a thread that lives as long as the fleet (the main one): the kernel kills it with the
    thread that started it, which is how no process outlives a test that was killed itself.
    """

    def __init__(self, name, command, log_path, within=()):
        self.name = name
        self.command = [str(part) for part in command]
        self.log_path = log_path
        self.within = list(within)  # a prefix of the command, say `ip netns exec NAME`
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def launch(self, stdout=None):
        """Starts the command; `stdout`: an open file, else the log."""
        guarded = [*self.within, "setpriv", "--pdeathsig", "KILL", "--", *self.command]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(guarded, stdin=subprocess.DEVNULL,
                                            stdout=log if stdout is None else stdout, stderr=log)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def ended(self):
        """A text that says how a process that nobody ended did."""
        code = None if self.process is None else self.process.poll()
        return f"{self.name} ended by itself with {code}:\n{self.log_end()}"

    def wait_until(self, is_so, what, patience_s=60):
        """Polls `is_so`; NotReady when the process ends or `patience_s` pass."""
        until = time.monotonic() + patience_s
        while not is_so():
            if not self.running():
                code = None if self.process is None else self.process.returncode
                raise NotReady(f"{self.name} ended with {code} before {what}:\n{self.log_end()}")
            if time.monotonic() > until:
                raise NotReady(f"{self.name}: no {what} within {patience_s} s:\n{self.log_end()}")
            time.sleep(0.01)

    def log(self):
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def log_end(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def terminate(self):
        self.signal(signal.SIGTERM)

    def stop(self, patience_s=40):
        """SIGTERM, and the exit code; NotReady (and SIGKILL) where it does not end."""
        self.terminate()
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotReady(f"{self.name} did not end within {patience_s} s of SIGTERM:\n"
                           f"{self.log_end()}") from None

    def pause(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)
