#!/usr/bin/env python3
"""deploy/images/ as it stands, a second: hadolint says nothing, the stages are what they should be,
and the build context holds what a build needs and nothing of a build.
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from images.dockerfile import Context, read_dockerfile  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/images/Dockerfile"
HADOLINT = pathlib.Path(sys.executable).with_name("hadolint")
IMAGES = ("cpu", "cuda")


def hadolint(text):
    done = subprocess.run(
        [HADOLINT, "--failure-threshold", "style", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def main():
    text = DOCKERFILE.read_text(encoding="utf-8")
    code, told = hadolint(text)
    assert code == 0 and not told, told
    code, told = hadolint(text.replace("apt-get install -y", "apt-get install"))
    assert code != 0 and "DL3014" in told, f"hadolint passed over a missing -y: {told}"

    stages, arguments = read_dockerfile(DOCKERFILE)
    assert list(stages)[-1] == "cpu", list(stages)  # what is built where no target is named
    day = arguments["DEBIAN"].split("-")
    assert day[0] == "debian:bookworm" and len(day[1]) == 8 and day[1].isdigit(), arguments
    for name in IMAGES:
        steps = dict(stages[name].steps)
        assert stages[name].base == "scratch", stages[name].base
        assert steps["USER"] == "65532:65532", steps
        assert "RUN" not in steps and {"LABEL", "HEALTHCHECK", "CMD", "COPY"} <= steps.keys(), steps
    built = {
        name: [
            text.replace(preset, "PRESET")
            for word, text in stages[f"build-{name}"].steps
            if word == "RUN" and "toolchain" not in text
        ]
        for name, preset in (("cpu", "release"), ("cuda", "cuda"))
    }
    assert built["cpu"] == built["cuda"] and len(built["cpu"]) == 4, built

    context = Context(ROOT, DOCKERFILE.with_name("Dockerfile.dockerignore"))
    assert not context.unused(), context.unused()
    files = set(context.files())
    assert len(files) > 500 and "proto/penstock/config/v1/server.proto" in files, len(files)
    strange = [
        path
        for path in files
        if path.startswith(("build/", ".git/", "docs/")) or path.endswith(".pyc")
    ]
    assert not strange, strange[:5]
    print(f"{len(stages)} stages, {len(files)} files in the context")


if __name__ == "__main__":
    main()
