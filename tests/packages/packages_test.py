#!/usr/bin/env python3
"""The Debian packages: built by cpack, installed into a clean Debian 12, run as their units say,
upgraded and removed.

No systemd runs in the tree: what it would do before ExecStart (the account, the folders, a
read-only system, no new privileges, an empty /run and /tmp) is done by
tests/debian_tree/sandbox.py, and the units themselves are read by `systemd-analyze verify` and
`systemd-analyze security`. Each service then runs by its unit's own command lines, is reloaded, and
is told to stop while a request is under way. Then packages of a later version are installed over
these, before all are removed.

Exit 77 where the machine has no root or no debootstrap.
"""

import argparse
import json
import pathlib
import re
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from debian_tree import PICTURE, Checks, DebianTree, Sandbox, Unavailable, base_tree  # noqa: E402
from fleet.process import NotReady  # noqa: E402
from packages.unit_file import UnitFile  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "router", "expert")
PACKAGES = tuple(f"penstock-{part}" for part in (*SERVICES, "cli"))
# Of what each must hold, beside its program and its licence.
MUST_HOLD = {
    "penstock-router": ["/usr/share/penstock/digits/router/gate.safetensors"],
    "penstock-expert": ["/usr/share/penstock/digits/models/linear/1/model.safetensors"],
}
# Of what programs load no file names these: a store at rediss:// without `ca` wants them.
AUTHORITIES = ("ca-certificates", "openssl")
MOST_EXPOSED = (
    2.5  # of systemd-analyze security, 0 to 10: a unit without any of these lines has 9.6
)
HOLD_S = (
    2  # how long the expert keeps a request, so that there is one under way when it is told to stop
)
# What purge leaves: logs and records of dpkg's own, and what is gone at the next start of a
# machine. The accounts are lines of /etc/passwd, not files.
NOT_OURS = (
    "/var/cache",
    "/var/log",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/proc",
    "/dev",
    "/tmp",
    "/run",
)


def build(build_folder, folder, version=None):
    """{package: file}; RuntimeError where cpack fails. `version`: another than the project's."""
    raised = ["-D", f"CPACK_PACKAGE_VERSION={version}"] if version else []
    done = subprocess.run(
        ["cpack", "--config", build_folder / "CPackConfig.cmake", "-B", folder, *raised],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"cpack ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return {path.name.split("_")[0]: path for path in sorted(folder.glob("*.deb"))}


def check_contents(checks, tree):
    for package in PACKAGES:
        listed = tree.run(["dpkg", "-L", package]).stdout.split("\n")
        program = "/usr/bin/penstock" if package == "penstock-cli" else f"/usr/bin/{package}"
        wanted = [program, f"/usr/share/doc/{package}/copyright", *MUST_HOLD.get(package, [])]
        if package != "penstock-cli":
            wanted += [
                f"/usr/lib/systemd/system/{package}.service",
                f"/etc/penstock/{package.removeprefix('penstock-')}.yaml",
            ]
        missing = [path for path in wanted if path not in listed]
        checks.that(f"{package} holds what it must", not missing, missing or f"{len(listed)} paths")
        wrong = []
        for path in filter(None, listed):
            about = (tree.root / path.lstrip("/")).lstat()
            writable = stat.S_IMODE(about.st_mode) & (
                stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID
            )
            if (about.st_uid, about.st_gid) != (0, 0) or writable:
                wrong.append(path)
        checks.that(f"{package}: all is root's, and nobody else's to write", not wrong, wrong or "")
        verified = tree.run(["dpkg", "--verify", package], check=False).stdout.strip()
        checks.that(f"{package}: files are as packed", not verified, verified)
        if package in ("penstock-gateway", "penstock-router"):
            depends = tree.run(["dpkg-query", "-W", "-f", "${Depends}", package]).stdout
            named = {word.split()[0] for word in depends.split(",")}
            checks.that(
                f"{package} depends on the system's authorities",
                named >= set(AUTHORITIES),
                sorted(named),
            )
        needs = tree.run(["ldd", program]).stdout
        sections = tree.run(["dpkg-query", "-W", "-f", "${Conffiles}", package]).stdout.split()
        checks.that(
            f"{package}: every library is there", "=>" in needs and "not found" not in needs
        )
        conffiles = [word for word in sections if word.startswith("/")]
        expected = [] if package == "penstock-cli" else [wanted[-1]]
        checks.that(
            f"{package}: its configuration is its administrator's", conffiles == expected, conffiles
        )


def check_accounts(checks, tree):
    for service in SERVICES:
        account = tree.account(f"penstock-{service}")
        good = (
            account
            and 0 < account["uid"] < 1000
            and account["shell"].endswith("nologin")
            and not (tree.root / account["home"].lstrip("/")).exists()
        )
        checks.that(f"account penstock-{service}", good, account)


def check_units(checks, tree, units):
    for service in SERVICES:
        name = f"penstock-{service}.service"
        done = tree.run(["systemd-analyze", "verify", f"/lib/systemd/system/{name}"], check=False)
        checks.that(
            f"systemd-analyze verify {name}",
            done.returncode == 0 and not done.stderr.strip(),
            done.stderr.strip(),
        )
        told = tree.run(
            [
                "systemd-analyze",
                "security",
                "--offline=yes",
                "--no-pager",
                f"/lib/systemd/system/{name}",
            ],
            check=False,
        ).stdout
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
        exposure = float(level.group(1)) if level else None
        checks.that(
            f"{name} is exposed by {MOST_EXPOSED} at most",
            exposure is not None and exposure <= MOST_EXPOSED,
            exposure,
        )
        # Unset, server.drain is 1 s of grace and 30 s for calls (docs/configuration.md).
        config = (tree.root / f"etc/penstock/{service}.yaml").read_text(encoding="utf-8")
        checks.that(
            f"{name} stops later than the service drains",
            "drain" not in config and units[service].seconds("TimeoutStopSec") > 31,
            units[service].service["TimeoutStopSec"],
        )
        enabled = tree.root / f"etc/systemd/system/multi-user.target.wants/{name}"
        checks.that(f"{name} is enabled", enabled.is_symlink())
        validated = tree.run(
            [
                f"/usr/bin/penstock-{service}",
                "--config",
                f"/etc/penstock/{service}.yaml",
                "--validate_config",
            ],
            user=f"penstock-{service}",
            check=False,
        )
        checks.that(
            f"/etc/penstock/{service}.yaml is valid, for its own account",
            validated.returncode == 0,
            (validated.stdout + validated.stderr).strip(),
        )


def writable_folders(tree, units):
    """As RuntimeDirectory and StateDirectory say, for Sandbox."""
    kept = []
    for service in SERVICES:
        account, unit = tree.account(units[service].service["User"]), units[service].service
        owner = f"{account['uid']}:{account['gid']}"
        kept += [
            f"{owner}/run/{unit['RuntimeDirectory']}",
            f"{owner}/var/lib/{unit['StateDirectory']}",
        ]
    return kept


class Manager:
    """What systemd listens at for a service of Type=notify, in the sandbox's /run."""

    def __init__(self, sandbox, service):
        self.path = f"/run/notify-{service}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        outside = sandbox.outside(self.path)
        self._socket.bind(str(outside))
        outside.chmod(0o666)

    def heard(self, message):
        """Whether it is the next message."""
        try:
            return self._socket.recv(4096).decode() == message
        except BlockingIOError:
            return False


def start(checks, sandbox, unit, service):
    manager = Manager(sandbox, service)
    process = sandbox.start(
        f"penstock-{service}",
        ["env", f"NOTIFY_SOCKET={manager.path}", *unit.command("ExecStart")],
        user=unit.service["User"],
    )
    began = time.monotonic()
    process.wait_until(lambda: manager.heard("READY=1"), "READY=1", 60)
    checks.that(
        f"penstock-{service}: says that it is ready to who started it",
        unit.service["Type"] == "notify" and process.running(),
        f"{time.monotonic() - began:.1f} s" if process.running() else process.log_end(),
    )
    return process


def reload(checks, sandbox, unit, service, process):
    done = sandbox.run(unit.command("ExecReload", process.pid), user=unit.service["User"])
    try:
        process.wait_until(lambda: "reload=" in process.log(), "reload in the log", 30)
        told = [line for line in process.log().splitlines() if "reload=" in line][-1]
    except NotReady as why:
        told = str(why)
    checks.that(
        f"penstock-{service}: ExecReload reads the configuration again",
        done.returncode == 0 and "reload=unchanged" in told,
        told[-200:],
    )


def drain(checks, sandbox, unit, service, process, address, pool):
    """A request by `address`; SIGTERM to the service once the expert has it. It is answered, and
    the end is 0.
    """

    def accepted():
        samples = sandbox.metrics("127.0.0.1:8202")
        return 0 if samples is None else samples.sum("penstock_expert_accepted_total")

    before = accepted()
    asking = sandbox.start(
        f"asking-{service}",
        [
            "/usr/bin/penstock",
            "infer",
            "--target",
            address,
            "--pool",
            pool,
            "--input",
            PICTURE,
            "--json",
            "--timeout_s",
            "30",
        ],
        user="nobody",
    )
    asking.wait_until(lambda: accepted() > before, "request at the expert", 30)
    began = time.monotonic()
    process.terminate()
    answered = asking.process.wait(60)
    try:
        label = json.loads(asking.log())
    except ValueError:
        label = None
    checks.that(
        f"penstock-{service}: the request under way is answered",
        answered == 0 and label,
        asking.log_end()[-160:].replace("\n", " "),
    )
    code = process.process.wait(unit.seconds("TimeoutStopSec"))
    checks.that(
        f"penstock-{service}: ends with 0 in time",
        code == 0,
        f"{code} after {time.monotonic() - began:.1f} s {'' if code == 0 else process.log_end()}",
    )


def serve(checks, tree, units, logs):
    with Sandbox(tree, logs, writable_folders(tree, units)) as sandbox:
        running = {
            service: start(checks, sandbox, units[service], service)
            for service in ("expert", "router", "gateway")
        }
        status = None
        # The router hears of the expert, and the gateway of the router, in their own time.
        until = time.monotonic() + 30
        while time.monotonic() < until:
            status = sandbox.run(
                ["/usr/bin/penstock", "infer", "--pool", "digits", "--input", PICTURE, "--json"],
                user="nobody",
            )
            if status.returncode == 0:
                break
        answer = json.loads(status.stdout) if status.returncode == 0 else {}
        checks.that(
            "penstock infer --pool digits",
            "penstock_energy_j" in status.stdout,
            answer.get("parameters", status.stderr),
        )
        for service in SERVICES:
            reload(checks, sandbox, units[service], service, running[service])
        drain(
            checks,
            sandbox,
            units["gateway"],
            "gateway",
            running["gateway"],
            "127.0.0.1:8001",
            "digits",
        )
        drain(
            checks,
            sandbox,
            units["router"],
            "router",
            running["router"],
            "127.0.0.1:8101",
            "digits",
        )
        drain(
            checks, sandbox, units["expert"], "expert", running["expert"], "127.0.0.1:8201", "mlp32"
        )


def versions(tree):
    told = tree.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *PACKAGES]).stdout
    return dict(line.split() for line in told.splitlines())


def check_upgrade(checks, tree, build_folder, folder):
    """What an administrator changed, in a file and by `systemctl`, is as it was afterwards."""
    links = tree.root / "etc/systemd/system/multi-user.target.wants"
    tree.run(["systemctl", "disable", "penstock-router.service"])
    configs = {
        service: (tree.root / f"etc/penstock/{service}.yaml").read_bytes() for service in SERVICES
    }
    was = versions(tree)
    later = was["penstock-cli"] + ".1"
    install_files(tree, build(build_folder, folder, later).values())
    now = versions(tree)
    checks.that(
        "an upgrade installs the later version",
        now == dict.fromkeys(PACKAGES, later) and now != was,
        f"{was['penstock-cli']}, then {now}",
    )
    changed = [
        service
        for service, content in configs.items()
        if (tree.root / f"etc/penstock/{service}.yaml").read_bytes() != content
    ]
    checks.that("an upgrade leaves configuration as it was", not changed, changed)
    # Another name would be a file that dpkg laid beside the administrator's.
    beside = sorted(path.name for path in (tree.root / "etc/penstock").iterdir())
    checks.that(
        "an upgrade lays nothing beside it",
        beside == sorted(f"{service}.yaml" for service in SERVICES),
        beside,
    )
    enabled = {
        service for service in SERVICES if (links / f"penstock-{service}.service").is_symlink()
    }
    checks.that(
        "an upgrade enables nothing, and disables nothing",
        enabled == {"gateway", "expert"},
        f"enabled: {sorted(enabled)}; the router was disabled",
    )


def install_files(tree, files):
    for path in files:
        (tree.root / "root" / path.name).write_bytes(path.read_bytes())
    tree.install(*(f"/root/{path.name}" for path in files))
    for path in files:
        (tree.root / "root" / path.name).unlink()


def check_removal(checks, tree, before):
    (tree.root / "var/lib/penstock-router/decisions").mkdir(parents=True)
    tree.run(["apt-get", "remove", "-y", *PACKAGES])
    left = [path for path in tree.paths(NOT_OURS) - before if "penstock" in path]
    kept = {f"/etc/penstock/{service}.yaml" for service in SERVICES} | {
        "/var/lib/penstock-router/decisions"
    }
    checks.that(
        "removal keeps configuration and state", kept <= set(left), sorted(kept - set(left))
    )
    checks.that(
        "removal takes programs, units and the example",
        not [path for path in left if path.startswith("/usr")],
        sorted(left)[:8],
    )
    tree.run(["apt-get", "purge", "-y", *PACKAGES])
    tree.run(["apt-get", "autoremove", "--purge", "-y"])
    left = sorted(tree.paths(NOT_OURS) - before)
    checks.that("purge leaves no file behind", not left, left)
    locked = [
        name
        for name in map("penstock-{}".format, SERVICES)
        if not (tree.account(name) or {"shell": ""})["shell"].endswith("nologin")
    ]
    checks.that("purge leaves the accounts, without a login", not locked, locked)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--build", required=True, type=pathlib.Path, help="folder of a build with its programs"
    )
    parser.add_argument(
        "--debs", type=pathlib.Path, help="packages that are built already, instead of by cpack"
    )
    parser.add_argument("--json", type=pathlib.Path, help="writes what was checked here")
    arguments = parser.parse_args()
    config = arguments.build / "CPackConfig.cmake"
    if not config.exists():
        parser.error(f"--build: wanted the folder of a configured build, {config} is not there")
    checks = Checks()
    try:
        base = base_tree(SOURCE / "build")
    except Unavailable as why:
        print(f"skipped: {why}")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="penstock-packages-") as scratch:
        scratch = pathlib.Path(scratch)
        if arguments.debs:
            files = {path.name.split("_")[0]: path for path in sorted(arguments.debs.glob("*.deb"))}
        else:
            files = build(arguments.build.resolve(), scratch / "debs")
        checks.that(
            "cpack builds the packages",
            sorted(files) == sorted(PACKAGES),
            ", ".join(f"{name} {path.stat().st_size / 1e6:.1f} MB" for name, path in files.items()),
        )
        tree = DebianTree(base, scratch / "tree")
        # Authorities stay where others want them too: they are no leftovers of ours.
        tree.install("systemd", *AUTHORITIES)
        before = tree.paths(NOT_OURS)
        install_files(tree, files.values())
        units = {
            service: UnitFile(tree.root / f"lib/systemd/system/penstock-{service}.service")
            for service in SERVICES
        }
        check_contents(checks, tree)
        check_accounts(checks, tree)
        check_units(checks, tree, units)
        # An administrator's change, which removal must keep.
        with open(tree.root / "etc/penstock/expert.yaml", "a", encoding="utf-8") as config:
            config.write(f"fault: {{hold: {HOLD_S}s}}\n")
        serve(checks, tree, units, scratch)
        check_upgrade(checks, tree, arguments.build.resolve(), scratch / "later")
        check_removal(checks, tree, before)
    checks.end(arguments.json)


if __name__ == "__main__":
    main()
