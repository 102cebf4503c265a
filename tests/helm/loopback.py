"""Rendered configurations, made to run here: a pod's files and addresses become this machine's.

Only strings are replaced; what a configuration says beside them runs as it was rendered.
"""

import hashlib
import pathlib
import re
import subprocess
import urllib.parse

from chart import ROOT, identity

MODELS = ROOT / "examples/digits/models"
ROUTER_FILES = ROOT / "examples/digits/router"
API_KEY = "a-key-of-the-test"
# With what configurations of Redis and shells read otherwise.
PASSWORD = 'a "password" of \\ $HOME'


def replaced(value, rules):
    """`value` with every string put through `rules`, (pattern, replacement) in order."""
    if isinstance(value, dict):
        return {key: replaced(one, rules) for key, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, rules) for one in value]
    if isinstance(value, str):
        for pattern, new in rules:
            value = re.sub(pattern, lambda _, new=new: str(new), value)
    return value


# Of openssl req: a key that is quick to make, without a password.
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Mounts:
    """What the pods of a rendering mount, as files of this machine."""

    def __init__(self, rendered, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(API_KEY.encode()).hexdigest()
        (self.folder / "keys.yaml").write_text(
            f"keys:\n- {{sha256: {digest}, tenant: acme}}\n", encoding="utf-8"
        )
        (self.folder / "key").write_text(API_KEY, encoding="utf-8")
        (self.folder / "password").write_text(PASSWORD, encoding="utf-8")
        certificates = [one for one in rendered if one["kind"] == "Certificate"]
        if certificates:
            self._authority()
        for certificate in certificates:
            self._issue(
                certificate["metadata"]["labels"]["app.kubernetes.io/component"],
                certificate["spec"]["dnsNames"],
            )

    def rules(self, component, instance=""):
        """For replaced(): a component's paths."""
        files = self.folder if component == "gateway" else ROUTER_FILES
        data = self.folder / f"{component}{instance}-data"
        data.mkdir(exist_ok=True)
        return [
            ("^/tls/", f"{self.folder}/{component}/"),
            ("^/files/", f"{files}/"),
            ("^/models$", MODELS),
            ("^/var/lib/penstock", data),
            ("%2Fredis%2Fpassword", urllib.parse.quote(f"{self.folder}/password", safe="")),
        ]

    def _authority(self):
        self._openssl(
            "req",
            "-x509",
            *NEW_KEY,
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            "2",
            "-subj",
            "/CN=the test's CA",
        )

    def _issue(self, component, names):
        """Its names, in their order, and localhost, where everything is here."""
        at = self.folder / component
        at.mkdir()
        alternatives = ",".join(f"DNS:{name}" for name in dict.fromkeys([*names, "localhost"]))
        (at / "extensions").write_text(f"subjectAltName={alternatives}\n", encoding="utf-8")
        self._openssl(
            "req",
            *NEW_KEY,
            "-keyout",
            at / "tls.key",
            "-out",
            at / "request",
            "-subj",
            "/O=the test",
        )
        self._openssl(
            "x509",
            "-req",
            "-in",
            at / "request",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            at / "tls.crt",
            "-days",
            "2",
            "-extfile",
            at / "extensions",
        )
        (at / "ca.crt").write_bytes((self.folder / "ca.crt").read_bytes())

    def _openssl(self, *arguments):
        done = subprocess.run(
            ["openssl", *map(str, arguments)], cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")


def test_command(rendered, binaries, mounts, target):
    """The command of the pod that `helm test` starts, for here."""
    pod = next(one for one in rendered if identity(one) == "Pod/penstock-test")
    container = pod["spec"]["containers"][0]
    words = [*container["command"], *container["args"]]
    rules = [
        ("^/usr/bin/", f"{binaries}/"),
        (r"^[\w.-]+\.svc\.cluster\.local:\d+$", target),
        ("^/tls/ca.crt$", f"{mounts.folder}/ca.crt"),
        ("^/key/key$", f"{mounts.folder}/key"),
    ]
    return replaced(words, rules)
