"""The services of the commit that BASELINE names, built from the repository's history."""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess

SERVICES = ("penstock-gateway", "penstock-router", "penstock-expert")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class NoHistory(RuntimeError):
    """The commit is not here; the text says why."""


def read_baseline(path):
    text = pathlib.Path(path).read_text(encoding="utf-8").strip()
    if not _COMMIT.fullmatch(text):
        raise ValueError(f"{path}: wanted a commit of 40 hex digits, got '{text}'")
    return text


def build(root, commit, jobs):
    """The folder of the built services. Built once; other commits' folders go."""
    _await_history(root, commit)
    kept = root / "build/compat"
    kept.mkdir(parents=True, exist_ok=True)
    with open(kept / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in kept.iterdir():
            if _COMMIT.fullmatch(other.name) and other.name != commit:
                shutil.rmtree(other)
        # The preset's own folder, below the sources: the compiler cache hits only there.
        sources = kept / commit / "source"
        if not (kept / commit / "unpacked").exists():
            shutil.rmtree(sources, ignore_errors=True)
            sources.mkdir(parents=True)
            _unpack(root, commit, sources)
            (kept / commit / "unpacked").touch()
        with open(kept / commit / "build.log", "w", encoding="utf-8") as log:
            _run(["cmake", "--preset", "release", "-DPENSTOCK_BUILD_TESTS=OFF"], sources, log)
            _run(["cmake", "--build", "--preset", "release", "--target", *SERVICES, "-j", str(jobs),
                  "--", "--quiet"], sources, log)
    return sources / "build/release/bin"


def _await_history(root, commit):
    if shutil.which("git") is None:
        raise NoHistory("git is not installed")
    found = subprocess.run(["git", "-C", root, "cat-file", "-e", f"{commit}^{{commit}}"],
                           capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise NoHistory(f"the repository's history lacks commit {commit} (a shallow checkout?): "
                        f"{found.stderr.strip()}")


def _unpack(root, commit, sources):
    archived = ["git", "-C", root, "archive", commit]
    with subprocess.Popen(archived, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", sources], stdin=archive.stdout, check=True)
    if archive.returncode != 0:
        raise RuntimeError(f"git archive {commit} ended with {archive.returncode}")


def _run(command, sources, log):
    done = subprocess.run(command, cwd=sources, stdout=log, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, "NINJA_STATUS": ""})
    if done.returncode != 0:
        log.flush()
        end = pathlib.Path(log.name).read_text(encoding="utf-8", errors="replace")[-4000:]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{end}")
