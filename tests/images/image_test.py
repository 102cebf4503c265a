#!/usr/bin/env python3
"""The image, built without an engine: each step of deploy/images/Dockerfile in a plain folder, then
run from there.

The Dockerfile itself is read and its RUN and COPY steps are what runs, in a Debian that debootstrap
made, with the context that its .dockerignore leaves: packages are installed, the preset is
configured (so the list of packages is enough), `cmake --install` installs, and the root of the
image is collected. One step is replaced: `cmake --build` takes a small machine the better part of
an hour, and tests/run.sh has done it with the same preset before it comes here. In its place the
same command goes through the motions (ninja's -n: every source has to be there), and the programs
that were built before (--bin) are laid where it would have put them.

The programs then run as the image's user in the image's root, read-only and without capabilities to
gain, on a network of their own: three services answer one request and drain.

With --target cuda the toolchain is installed and the preset configured, and there it ends: there
are no programs with CUDA kernels to lay anywhere.

Exit 77 where the machine has no root or no debootstrap.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import stat
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from debian_tree import PICTURE, Checks, Sandbox, Unavailable, base_tree  # noqa: E402
from images.dockerfile import Context, read_dockerfile  # noqa: E402
from images.stage_builder import StageBuilder, make_base_image  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = SOURCE / "deploy/images/Dockerfile"
PROGRAMS = ("penstock", "penstock-gateway", "penstock-router", "penstock-expert")
SERVICES = {"expert": "127.0.0.1:8201", "router": "127.0.0.1:8101", "gateway": "127.0.0.1:8001"}
MOST_MEGABYTES = 120
EPOCH = 1700000000
# Whatever is in the root beside programs, libraries and what is known of them.
ALLOWED = (
    "usr/bin/penstock",
    "usr/lib/x86_64-linux-gnu/",
    "usr/lib/aarch64-linux-gnu/",
    "usr/lib64/",
    "usr/lib/ld-linux",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/os-release",
    "etc/debian_version",
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/group",
    "var/lib/dpkg/status.d/",
)


def files_of(root):
    """{relative path: (mode, owner, group, time, what is in it)} of everything below."""
    found = {}
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            inside = os.readlink(path)
        elif stat.S_ISREG(about.st_mode):
            inside = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            inside = ""
        found[str(path.relative_to(root))] = (
            about.st_mode,
            about.st_uid,
            about.st_gid,
            int(about.st_mtime),
            inside,
        )
    return found


def check_root(checks, root, tools):
    """The image's root, and that it comes out the same when it is collected again in `tools`."""
    found = files_of(root)
    plain = {path for path, about in found.items() if stat.S_ISREG(about[0])}
    strange = sorted(path for path in plain if not path.startswith(ALLOWED))
    checks.that(
        "the image holds programs, their libraries and little else",
        plain and not strange,
        strange or f"{len(plain)} files",
    )
    checks.that("its programs are all there", {f"usr/bin/{name}" for name in PROGRAMS} <= plain)
    # As OpenSSL of Debian has it built in: a store at rediss:// needs no `ca`.
    trusted = found.get("usr/lib/ssl/cert.pem", ("",))[-1]
    checks.that(
        "OpenSSL finds the authorities where it looks by itself",
        trusted.lstrip("/") in plain,
        trusted or "usr/lib/ssl/cert.pem is not there",
    )
    megabytes = sum((root / path).stat().st_size for path in plain) / 1e6
    checks.that(
        f"it has {MOST_MEGABYTES} MB at most", megabytes <= MOST_MEGABYTES, f"{megabytes:.1f} MB"
    )
    owned = {path for path, about in found.items() if (about[1], about[2]) != (0, 0)}
    checks.that(
        "all but the state's folder is root's", owned == {"var/lib/penstock"}, sorted(owned)
    )
    wrong = [path for path, about in found.items() if about[3] != EPOCH]
    checks.that("all times are SOURCE_DATE_EPOCH", not wrong, wrong[:5] or EPOCH)
    scanned = list((root / "var/lib/dpkg/status.d").iterdir())
    checks.that(
        "packages of the libraries are told",
        len(scanned) >= 5
        and all(path.read_text(encoding="utf-8").startswith("Package: ") for path in scanned),
        f"{len(scanned)} packages",
    )
    tools.run(
        ["/source/deploy/images/collect_root.sh", "/installed", "/again"],
        environment={"SOURCE_DATE_EPOCH": str(EPOCH)},
    )
    again = files_of(tools.root / "again")
    differ = sorted(
        path for path in found.keys() | again.keys() if found.get(path) != again.get(path)
    )
    checks.that("collected again it is the same, byte for byte", not differ, differ[:5])


def mount(root):
    """What an engine or an orchestrator brings: folders of the kernel, configuration, models."""
    for folder in ("proc", "sys", "dev", "run"):
        (root / folder).mkdir(exist_ok=True)
    for node in ("null", "urandom"):
        about = os.stat(f"/dev/{node}")
        os.mknod(root / "dev" / node, stat.S_IFCHR | 0o666, about.st_rdev)
        os.chmod(root / "dev" / node, 0o666)
    for service in SERVICES:
        shutil.copy(SOURCE / f"deploy/debian/config/{service}.yaml", root / "etc/penstock")
    for part in ("models", "router"):
        shutil.copytree(
            SOURCE / "examples/digits" / part, root / "usr/share/penstock/digits" / part
        )
    for folder, _, files in os.walk(root / "usr/share"):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)


def serve(checks, tree, settings, logs):
    mount(tree.root)
    user = settings["user"]
    with Sandbox(tree, logs) as sandbox:
        shown = sandbox.run(settings["command"], user=user)
        checks.that(
            "what it runs where nothing is said",
            shown.returncode == 0 and "Usage" in shown.stdout,
            (shown.stdout + shown.stderr)[:80],
        )
        running = {}
        for service in SERVICES:
            program, config = f"/usr/bin/penstock-{service}", f"/etc/penstock/{service}.yaml"
            valid = sandbox.run([program, "--config", config, "--validate_config"], user=user)
            checks.that(
                f"penstock-{service} takes its configuration",
                valid.returncode == 0,
                (valid.stdout + valid.stderr).strip(),
            )
            process = sandbox.start(
                service, [program, "--config", config], user=user, host_setpriv=True
            )
            process.wait_until(
                lambda process=process: "ready grpc=" in process.log(), "ready line", 60
            )
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            ids = {
                line.split(":")[0]: set(line.split()[1:])
                for line in status.splitlines()
                if line.startswith(("Uid", "Gid"))
            }
            checks.that(
                f"penstock-{service} runs as the image's user",
                ids == {"Uid": {user.split(":")[0]}, "Gid": {user.split(":")[1]}},
                ids,
            )
            running[service] = process
        answer, until = None, time.monotonic() + 30
        while time.monotonic() < until and (answer is None or answer.returncode != 0):
            answer = sandbox.run(
                ["/usr/bin/penstock", "infer", "--pool", "digits", "--input", PICTURE, "--json"],
                user=user,
            )
        checks.that(
            "a request is answered",
            answer.returncode == 0 and "penstock_energy_j" in answer.stdout,
            json.loads(answer.stdout)["parameters"] if answer.returncode == 0 else answer.stderr,
        )
        for service in reversed(SERVICES):
            code = running[service].stop()
            checks.that(f"penstock-{service} drains and ends with 0", code == 0, code)


def go_through_the_motions(checks, builder, tree, command):
    """What stands in for `cmake --build`: the sources that it would read are all there."""
    told = builder.run(
        tree, "build-" + ("cuda" if "cuda" in command else "cpu"), command + " -- -n"
    ).stdout
    wanted = "Building CUDA object" if "cuda" in command else "Building CXX object"
    steps = told.count(wanted)
    checks.that(
        "the compilation would find every source",
        steps > 5 and "Linking CXX executable" in told,
        f"{steps} times {wanted}",
    )


def check_cpu(checks, builder, binaries, logs):
    def instead(tree, command):
        go_through_the_motions(checks, builder, tree, command)
        place = tree.root / "source/build/release/bin"
        place.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            shutil.copy2(binaries / name, place / name)

    builder.replaced["cmake --build build/release"] = instead
    tree = builder.build("cpu")
    checks.that(
        "every step but the compilation ran as it stands",
        len(builder.ran) >= 5 and len(builder.stood_in) == 1,
        f"{len(builder.ran)}, and in the place of one: {builder.stood_in}",
    )
    settings = builder.settings["cpu"]
    checks.that("the image's user is 65532", settings["user"] == "65532:65532", settings["user"])
    checks.that("it says what it is", len(settings["labels"]) >= 3, settings["labels"])
    check_root(checks, tree.root, builder.build("build-cpu"))
    serve(checks, tree, settings, logs)


def check_cuda(checks, builder):
    builder.replaced["cmake --build build/cuda"] = lambda tree, command: go_through_the_motions(
        checks, builder, tree, command
    )
    tree = builder.build("build-cuda", until="DESTDIR=")
    checks.that(
        "every step before the compilation ran as it stands",
        len(builder.ran) >= 4 and len(builder.stood_in) == 1,
        f"{len(builder.ran)}, and in the place of one: {builder.stood_in}",
    )
    cache = (tree.root / "source/build/cuda/CMakeCache.txt").read_text(encoding="utf-8")
    compiler = [line for line in cache.splitlines() if line.startswith("PENSTOCK_NVCC:")]
    checks.that(
        "CMake found the toolchain that was installed",
        compiler and "/opt/cuda/bin/nvcc" in compiler[0],
        compiler,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--bin", required=True, type=pathlib.Path, help="folder of the release preset's programs"
    )
    parser.add_argument("--target", choices=("cpu", "cuda"), default="cpu", help="which image")
    parser.add_argument("--json", type=pathlib.Path, help="writes what was checked here")
    arguments = parser.parse_args()
    missing = [name for name in PROGRAMS if not (arguments.bin / name).exists()]
    if missing:
        parser.error(f"--bin {arguments.bin}: wanted {', '.join(PROGRAMS)}; not there: {missing}")
    checks = Checks()
    try:
        base = base_tree(SOURCE / "build")
    except Unavailable as why:
        print(f"skipped: {why}")
        sys.exit(77)
    stages, given = read_dockerfile(DOCKERFILE)
    given["SOURCE_DATE_EPOCH"] = str(EPOCH)
    context = Context(SOURCE, DOCKERFILE.with_name("Dockerfile.dockerignore"))

    with tempfile.TemporaryDirectory(prefix="penstock-image-") as scratch:
        scratch = pathlib.Path(scratch)
        builder = StageBuilder(
            stages,
            given,
            context,
            lambda image: make_base_image(base, scratch / "debian"),
            scratch,
            lambda line: print(f"{checks.seconds():5.0f} s  {line}", flush=True),
        )
        if arguments.target == "cuda":
            check_cuda(checks, builder)
        else:
            check_cpu(checks, builder, arguments.bin, scratch)
    checks.end(arguments.json)


if __name__ == "__main__":
    main()
