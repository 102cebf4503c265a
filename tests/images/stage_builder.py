"""Runs the steps of a Dockerfile's stages in plain folders: what an engine does, less its
layers.
"""

import os
import pathlib
import re
import shutil
import subprocess

from debian_tree import DebianTree

from .dockerfile import copy_words, exec_form

# The comments are what an image of Debian carries, by which the Dockerfile finds the archive of its
# day. Here it is this machine's, as it is today.
_SOURCES = """Types: deb
# {site}
URIs: http://replaced.invalid/debian
Suites: {release}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def make_base_image(base, folder):
    """A DebianTree that looks like Debian's own image where the Dockerfile looks at it."""
    tree = DebianTree(base, folder)
    site, release = (tree.root / "etc/apt/sources.list").read_text(encoding="utf-8").split()[1:3]
    (tree.root / "etc/apt/sources.list").unlink()
    (tree.root / "etc/apt/sources.list.d/debian.sources").write_text(
        _SOURCES.format(site=site, release=release), encoding="utf-8"
    )
    # Whom this machine trusts besides: the way to its package indexes may be through one of them.
    authorities = pathlib.Path("usr/local/share/ca-certificates")
    if ("/" / authorities).is_dir():
        shutil.copytree("/" / authorities, tree.root / authorities, dirs_exist_ok=True)
    return tree


class EmptyTree:
    """FROM scratch."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.root.mkdir()

    def user_options(self, user):
        return [] if user == "root" else [f"--userspec={user}", "--groups="]


class StageBuilder:
    """Builds a stage and those that it needs. A stage goes on in the tree of its base, which is
    then no stage any more: stages that share a base are built by two builders. `replaced`:
    {beginning of a RUN: function of the tree and the step that stands in its place}; `ran` and
    `stood_in` are the RUN steps that were and were not run.
    """

    def __init__(self, stages, arguments, context, make_base, scratch, log):
        self.stages, self.arguments, self.context = stages, arguments, context
        self.make_base, self.scratch, self.log = make_base, pathlib.Path(scratch), log
        self.trees, self.settings, self.replaced, self.ran, self.stood_in = {}, {}, {}, [], []

    def build(self, name, until=None):
        """The stage's tree. `until`: the beginning of a RUN before which it stops."""
        if name in self.trees:
            return self.trees[name]
        stage = self.stages[name]
        if stage.base in self.stages:
            tree = self.build(stage.base)
            settings = dict(
                self.settings[stage.base],
                environment=dict(self.settings[stage.base]["environment"]),
            )
        else:
            image = re.sub(r"\$\{(\w+)\}", lambda found: self.arguments[found.group(1)], stage.base)
            tree = EmptyTree(self.scratch / name) if image == "scratch" else self.make_base(image)
            settings = {
                "environment": {},
                "folder": "/",
                "shell": ["/bin/sh", "-c"],
                "user": "root",
                "command": None,
                "labels": {},
            }
        self.trees[name], self.settings[name] = tree, settings
        for word, text in stage.steps:
            if until and word == "RUN" and text.startswith(until):
                break
            self.log(f"{name}: {word} {text[:90]}")
            getattr(self, f"_{word.lower()}")(tree, settings, text)
        return tree

    def run(self, tree, stage, command):
        """As a RUN of that stage."""
        settings = self.settings[stage]
        return tree.run(
            [*settings["shell"], command],
            environment=settings["environment"],
            folder=settings["folder"],
        )

    def _run(self, tree, settings, text):
        for beginning, instead in self.replaced.items():
            if text.startswith(beginning):
                instead(tree, text)
                self.stood_in.append(text)
                return
        tree.run(
            [*settings["shell"], text],
            environment=settings["environment"],
            folder=settings["folder"],
        )
        self.ran.append(text)

    def _copy(self, tree, settings, text):
        origin, sources, destination = copy_words(text)
        target = os.path.normpath(os.path.join(settings["folder"], destination))
        into_folder = destination.endswith(("/", ".")) or len(sources) > 1
        for source in sources:
            if origin:
                whole = self.build(origin).root / source.lstrip("/")
                place = tree.root / target.lstrip("/")
                place.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", f"{whole}/.", place], check=True)
                continue
            files = self.context.files(source)
            if not files:
                raise ValueError(f"COPY {text}: the context has no {source}")
            for path in files:
                inner = (
                    os.path.relpath(path, source)
                    if (self.context.root / source).is_dir()
                    else (os.path.basename(path) if into_folder else "")
                )
                place = tree.root / os.path.join(target, inner).rstrip("/").lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.context.root / path, place)

    def _arg(self, tree, settings, text):
        key, _, default = text.partition("=")
        settings["environment"][key] = self.arguments.get(key, default)

    def _env(self, tree, settings, text):
        settings["environment"].update(word.split("=", 1) for word in text.split())

    def _workdir(self, tree, settings, text):
        settings["folder"] = os.path.join(settings["folder"], text)
        (tree.root / settings["folder"].lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _shell(self, tree, settings, text):
        settings["shell"] = exec_form(text)

    def _user(self, tree, settings, text):
        settings["user"] = text

    def _cmd(self, tree, settings, text):
        settings["command"] = exec_form(text)

    def _label(self, tree, settings, text):
        settings["labels"].update(re.findall(r'(\S+)="([^"]*)"', text))

    def _expose(self, tree, settings, text):
        if not all(port.isdigit() for port in text.split()):
            raise ValueError(f"EXPOSE {text}: wanted ports")

    def _healthcheck(self, tree, settings, text):
        if text != "NONE":
            raise ValueError(f"HEALTHCHECK {text}: only NONE is known here")
