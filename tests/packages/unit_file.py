"""A systemd unit as far as a test runs it by itself."""

import pathlib
import re
import shlex


class UnitFile:
    """`service` holds what [Service] says; a key that is there several times has its last value."""

    def __init__(self, path):
        section = None
        self.service = {}
        text = pathlib.Path(path).read_text(encoding="utf-8")
        # A line that ends in a backslash goes on.
        text = text.replace("\\\n", " ")
        for line in text.splitlines():
            if not line or line[0] in "#;":
                continue
            if line.startswith("["):
                section = line
                continue
            key, separator, value = line.partition("=")
            if not separator:
                raise ValueError(f"{path}: wanted KEY=VALUE, got {line!r}")
            if section == "[Service]":
                self.service[key] = value

    def command(self, key, main_pid=None):
        """The words of ExecStart and its like, with the main process's number put in."""
        words = shlex.split(self.service[key])
        return (
            words
            if main_pid is None
            else [re.sub(r"\$\{MAINPID\}|\$MAINPID\b", str(main_pid), word) for word in words]
        )

    def seconds(self, key):
        value = self.service[key]
        if not value.isdigit():
            raise ValueError(f"{key}: wanted whole seconds, got {value!r}")
        return int(value)
