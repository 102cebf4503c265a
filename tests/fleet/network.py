"""Network namespaces joined by a bridge, so that a test can cut one of them off."""

import os
import shutil
import subprocess


class Unavailable(RuntimeError):
    """The machine lacks what is asked for; the text says what."""


class Host:
    """One namespace: processes started `within` it have `address` for themselves."""

    def __init__(self, name, address, link):
        self.name, self.address, self.link = name, address, link
        self.within = ["ip", "netns", "exec", name]

    def _set(self, state):
        _ip("link", "set", self.link, state, netns=None)

    def cut(self):
        """Takes its cable away: packets of both directions vanish, and nobody is told."""
        self._set("down")

    def mend(self):
        self._set("up")


class Network:
    """A bridge in this namespace and a namespace for each host, all of one private /24."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Unavailable("network namespaces take root")
        if shutil.which("ip") is None:
            raise Unavailable("no `ip` (Debian package iproute2)")
        self.hosts = []
        self.tag = f"ps{os.getpid() % 100000}"
        self.bridge = f"{self.tag}br"
        self.prefix = self._free_prefix()
        try:
            _ip("link", "add", self.bridge, "type", "bridge")
            _ip("address", "add", f"{self.prefix}.1/24", "dev", self.bridge)
            _ip("link", "set", self.bridge, "up")
            self.add("probe")
        except RuntimeError as why:
            self.close()
            raise Unavailable(f"no network namespaces: {why}") from None

    @staticmethod
    def _free_prefix():
        taken = subprocess.run(["ip", "-4", "address"], capture_output=True, text=True,
                               check=False).stdout
        first = os.getpid() % 250
        for i in range(250):
            prefix = f"10.199.{(first + i) % 250 + 1}"
            if f"inet {prefix}." not in taken:
                return prefix
        raise Unavailable("no free network 10.199.0.0/16")

    def add(self, name):
        """A host of the network. This namespace reaches it, and it the others."""
        number = len(self.hosts) + 2
        host = Host(f"{self.tag}-{name}", f"{self.prefix}.{number}", f"{self.tag}v{number}")
        _ip("netns", "add", host.name)
        self.hosts.append(host)
        _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        _ip("link", "set", host.link, "master", self.bridge)
        _ip("link", "set", host.link, "up")
        for command in (("link", "set", "lo", "up"), ("link", "set", "eth0", "up"),
                        ("address", "add", f"{host.address}/24", "dev", "eth0")):
            _ip(*command, netns=host.name)
        return host

    def close(self):
        for host in self.hosts:
            subprocess.run(["ip", "netns", "delete", host.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True, check=False)
        self.hosts = []


def _ip(*arguments, netns=None):
    command = ["ip", *(("-n", netns) if netns else ()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
