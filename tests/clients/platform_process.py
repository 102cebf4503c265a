"""Starts Penstock's binaries for a test and stops them: real processes on free ports of the loopback."""

import os
import signal
import subprocess
import tempfile
import time


class Service:
    """One running binary; its `ready` line says where it listens. `environment`: variables beside the test's own."""

    def __init__(self, binary, config, *arguments, patience_s=60, environment=None):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "config.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self.log_path = os.path.join(self.folder.name, "log")
        self.log = open(self.log_path, "w", encoding="utf-8")
        ready_file = os.path.join(self.folder.name, "ready")
        command = [*binary, "--config", path, "--ready_file", ready_file, *arguments]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT,
                                        env=dict(os.environ, **(environment or {})))
        until = time.monotonic() + patience_s
        while not (os.path.exists(ready_file) and os.path.getsize(ready_file)):
            if self.process.poll() is not None:
                raise RuntimeError(f"{command} ended with {self.process.returncode}:\n{self.text()}")
            if time.monotonic() > until:
                self.process.kill()
                raise RuntimeError(f"{command} was not ready within {patience_s} s:\n{self.text()}")
            time.sleep(0.02)
        with open(ready_file, encoding="utf-8") as file:
            words = dict(word.split("=", 1) for word in file.read().split()[1:])
        self.grpc, self.metrics = words["grpc"], words["metrics"]

    def text(self):
        self.log.flush()
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, patience_s=40):
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"did not stop within {patience_s} s:\n{self.text()}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        self.log.close()
        self.folder.cleanup()
