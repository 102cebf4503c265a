"""A clean Debian 12 in a folder: made once by debootstrap under build/, copied for each test.

Needs root. Commands run in a chroot with a mount and process namespace of their own, so nothing
stays mounted or goes on, whatever ends the test.
"""

import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

RELEASE = "bookworm"

# $0: the tree, $1: the folder of downloaded packages. The rest is the command. apt does not wait
# for another that has that folder, so whoever has a command under way has it alone.
_ENTER = """set -e
tree=$0 archives=$1; shift
exec 9>"$archives.lock"; flock 9
mount -t proc proc "$tree/proc"
mkdir -p "$tree/var/cache/apt/archives"
mount --bind "$archives" "$tree/var/cache/apt/archives"
exec "$@"
"""


class Unavailable(RuntimeError):
    """The machine lacks what is asked for; the text says what."""


def base_tree(build):
    """The clean tree, made if it is not there yet. Do not change it: copy it."""
    if os.geteuid() != 0:
        raise Unavailable("a Debian tree is made by root")
    for tool in ("debootstrap", "unshare", "nsenter", "chroot", "ip"):
        if shutil.which(tool) is None:
            raise Unavailable(f"no {tool}")
    build = pathlib.Path(build).resolve()
    build.mkdir(exist_ok=True)
    base, archives = build / f"debian-{RELEASE}", build / "debian-archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    with open(build / f"debian-{RELEASE}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not base.exists():
            # Beside its place, and renamed once it is whole.
            made = pathlib.Path(tempfile.mkdtemp(prefix="debian-", dir=build))
            made.chmod(0o755)
            done = subprocess.run(
                ["debootstrap", "--variant=minbase", RELEASE, made, *_mirror()],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                shutil.rmtree(made, ignore_errors=True)
                raise Unavailable(f"debootstrap: {done.stdout[-500:]}{done.stderr[-500:]}")
            made.rename(base)
    return base


def _mirror():
    """Where this machine has its own packages from; nothing where it does not say: debootstrap
    knows one.
    """
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)"],
        capture_output=True,
        text=True,
        check=False,
    )
    sites = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(RELEASE + " ")]
    return sites[:1]


class DebianTree:
    """A copy of the base, in `folder`."""

    def __init__(self, base, folder):
        self.root = pathlib.Path(folder)
        self._archives = base.parent / "debian-archives"
        subprocess.run(["cp", "-a", "--reflink=auto", f"{base}/.", self.root], check=True)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")

    def run(self, command, *, user="root", environment=None, folder="/", check=True):
        """A command in the tree, with the machine's network; RuntimeError with what it said where
        it fails.
        """
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            "HOME": "/root",
            **(environment or {}),
        }
        inside = [
            "chroot",
            *self.user_options(user),
            self.root,
            "env",
            "-i",
            f"--chdir={folder}",
            *(f"{name}={value}" for name, value in settings.items()),
            *command,
        ]
        done = subprocess.run(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                _ENTER,
                self.root,
                self._archives,
                *map(str, inside),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(
                f"{' '.join(map(str, command))[:200]} ended with {done.returncode}:\n"
                f"{done.stdout[-2000:]}{done.stderr[-3000:]}"
            )
        return done

    def install(self, *packages):
        """By apt, with what they depend on and no more."""
        command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        # Lists come with the base only as old as it is: fetched again where they do not do.
        if self.run(command, check=False).returncode != 0:
            self.run(["apt-get", "update"])
            self.run(command)

    def account(self, name):
        """{name, uid, gid, home, shell} as the tree's /etc/passwd has it; None where it has
        none.
        """
        for line in (self.root / "etc/passwd").read_text(encoding="utf-8").splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return {
                    "name": name,
                    "uid": int(fields[2]),
                    "gid": int(fields[3]),
                    "home": fields[5],
                    "shell": fields[6],
                }
        return None

    def user_options(self, user):
        """Of chroot(1), for that user of the tree, or UID:GID."""
        if user == "root":
            return []
        if ":" in user:
            return [f"--userspec={user}", "--groups="]
        account = self.account(user)
        return [f"--userspec={account['uid']}:{account['gid']}", "--groups="]

    def paths(self, left_out=()):
        """Every path below the root, but for those below `left_out`."""
        found = set()
        for folder, folders, files in os.walk(self.root):
            here = "/" + os.path.relpath(folder, self.root).removeprefix(".")
            folders[:] = [name for name in folders if os.path.join(here, name) not in left_out]
            found.update(os.path.join(here, name) for name in folders + files)
        return found
