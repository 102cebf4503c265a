"""A Dockerfile as stages of steps, and what a build context holds; only what deploy/images/ uses of
either.

Whatever this does not know is an error: a step that is passed over would be a test of something
else.
"""

import fnmatch
import json
import pathlib
import re
import shlex

STEPS = {
    "ARG",
    "CMD",
    "COPY",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "RUN",
    "SHELL",
    "USER",
    "WORKDIR",
}


class Stage:
    """`base`: a stage's or an image's name. `steps`: (instruction, text), in order."""

    def __init__(self, name, base):
        self.name, self.base, self.steps = name, base, []


def read_dockerfile(path):
    """{name: Stage} in order, and the build arguments that stand before the first stage."""
    stages, arguments, stage = {}, {}, None
    for number, line in _instructions(pathlib.Path(path).read_text(encoding="utf-8")):
        word, _, text = line.partition(" ")
        word, text = word.upper(), text.strip()
        if word == "FROM":
            matched = re.fullmatch(r"(\S+) AS (\S+)", text)
            if not matched:
                raise ValueError(f"{path}:{number}: wanted FROM BASE AS NAME, got {text!r}")
            stage = stages[matched.group(2)] = Stage(matched.group(2), matched.group(1))
        elif stage is None and word == "ARG":
            arguments.update([text.split("=", 1)])
        elif stage is not None and word in STEPS:
            stage.steps.append((word, text))
        else:
            raise ValueError(f"{path}:{number}: {word} is not known here")
    return stages, arguments


def _instructions(text):
    """(number, line), comments left out, lines that go on joined."""
    whole, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not (whole or line.strip()):
            continue
        began = began if whole else number
        if line.endswith("\\"):
            whole += line[:-1].strip() + " "
        else:
            yield began, whole + line.strip()
            whole = ""
    if whole:
        raise ValueError(f"line {began}: a step without an end")


def copy_words(text):
    """Of a COPY: (stage it copies from or None, sources, destination)."""
    words = shlex.split(text)
    origin = None
    while words and words[0].startswith("--"):
        key, _, value = words.pop(0).partition("=")
        if key != "--from":
            raise ValueError(f"COPY {text}: {key} is not known here")
        origin = value
    if len(words) < 2:
        raise ValueError(f"COPY {text}: wanted a source and a destination")
    return origin, words[:-1], words[-1]


def exec_form(text):
    """The words of CMD, SHELL and their like."""
    words = json.loads(text)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"wanted a JSON list of words, got {text!r}")
    return words


class Context:
    """The files of `root` that a .dockerignore leaves; the last pattern that matches decides."""

    def __init__(self, root, ignore_file):
        self.root = pathlib.Path(root)
        self.patterns = []
        for line in pathlib.Path(ignore_file).read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                self.patterns.append((line.startswith("!"), line.strip().lstrip("!").strip("/")))

    def unused(self):
        """Patterns that take something in which is not there."""
        return [
            pattern
            for kept, pattern in self.patterns
            if kept and not (self.root / pattern).exists()
        ]

    def holds(self, path):
        """Whether the file `path`, relative to the root, is in it."""
        held = True
        folders = [
            path,
            *(str(parent) for parent in pathlib.PurePath(path).parents if str(parent) != "."),
        ]
        for kept, pattern in self.patterns:
            ends = pattern.removeprefix("**/")
            if any(
                fnmatch.fnmatchcase(folder, pattern)
                or (ends != pattern and fnmatch.fnmatchcase(pathlib.PurePath(folder).name, ends))
                for folder in folders
            ):
                held = kept
        return held

    def files(self, below="."):
        """Relative paths, of the whole or below one folder; of a file itself."""
        start = self.root / below
        if start.is_file():
            found = [start]
        else:
            tops = {pattern.split("/")[0] for kept, pattern in self.patterns if kept}
            roots = [start] if below != "." else [self.root / top for top in sorted(tops)]
            found = [
                path
                for root in roots
                for path in ([root] if root.is_file() else sorted(root.rglob("*")))
                if path.is_file()
            ]
        return [
            relative for path in found if self.holds(relative := str(path.relative_to(self.root)))
        ]
