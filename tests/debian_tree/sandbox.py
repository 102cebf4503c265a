"""Processes in a tree that is read-only, with a network of their own.

As a hardened unit has it, or an image that is run with a read-only root.
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fleet.metrics import Samples  # noqa: E402
from fleet.process import Process  # noqa: E402

# $1: the tree; of the rest each is OWNER:PATH, a folder that stays writable and is its owner's.
# /run and /tmp are empty and private. The tree is bound to itself: what is made read-only is a
# mount, not a folder.
_HOLD = """set -e
tree=$1; shift
mount --bind "$tree" "$tree"
for kept in "$@"; do
  case ${kept#*/} in run/*) ;; *)
    path=$tree/${kept#*/}
    mkdir -p "$path"; chown "${kept%%/*}" "$path"; mount --bind "$path" "$path" ;;
  esac
done
mount -o remount,bind,ro "$tree"
mount -t proc proc "$tree/proc"
for private in run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$tree/$private"; done
for kept in "$@"; do
  path=$tree/${kept#*/}
  case ${kept#*/} in run/*) mkdir -p "$path"; chown "${kept%%/*}" "$path" ;; esac
done
ip link set lo up
echo held
exec sleep infinity
"""


class Sandbox:
    """Use as a context: what was started in it ends with it.

    `tree` is a DebianTree, or anything with `root` and user_options(); `writable` are
    "UID:GID/path/of/folder". Ports are its own: addresses of default configurations are free,
    whatever else this machine runs.
    """

    def __init__(self, tree, logs, writable=()):
        self.tree, self.logs = tree, pathlib.Path(logs)
        hold = ["sh", "-c", _HOLD, "sh", tree.root, *writable]
        self._holder = Process(
            "sandbox",
            ["unshare", "--mount", "--net", "--propagation", "private", *hold],
            self.logs / "sandbox.log",
        )
        self._processes = [self._holder]

    def __enter__(self):
        self._holder.launch()
        self._holder.wait_until(lambda: "held" in self._holder.log(), "sandbox", 30)
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            process.kill()

    def _enter(self):
        return ["nsenter", "-t", str(self._holder.pid), "-m", "-n"]

    def _chroot(self, user):
        settings = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        return [*settings, "chroot", *self.tree.user_options(user), str(self.tree.root)]

    def start(self, name, command, *, user, host_setpriv=False):
        """A fleet.Process, without privileges to gain: its pid is the command's own.

        `host_setpriv`: the tree has no setpriv of its own.
        """
        unprivileged = ["setpriv", "--no-new-privs"]
        if host_setpriv:
            # A change of user takes the parent's death signal away: it ends with the context, not
            # with the test.
            words, within = [*unprivileged, *self._chroot(user), *command], self._enter()
        else:
            words, within = [*unprivileged, *command], [*self._enter(), *self._chroot(user)]
        process = Process(name, words, self.logs / f"{name}.log", within)
        self._processes.append(process)
        process.launch()
        return process

    def run(self, command, *, user):
        """Runs to its end: what subprocess.run() returns, with text."""
        words = [*self._enter(), *self._chroot(user), *command]
        return subprocess.run(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def outside(self, path):
        """Where a process that is not in it finds a file of its tree."""
        return pathlib.Path(f"/proc/{self._holder.pid}/root{self.tree.root}{path}")

    def metrics(self, address):
        """What a service in it exports; None where nobody answers."""
        fetch = ["curl", "-sf", "--max-time", "5", f"http://{address}/metrics"]
        done = subprocess.run([*self._enter(), *fetch], capture_output=True, text=True, check=False)
        return Samples(done.stdout) if done.returncode == 0 else None
