"""A certificate authority and a server's certificate, made with openssl."""

import pathlib
import subprocess


class Certificates:
    """`ca`, `certificate` and `key` are PEM files in `folder`; the certificate names `name`, and is good
    for so many days."""

    def __init__(self, folder, name="penstock.test", days=2):
        self.folder, self.name = pathlib.Path(folder), name
        self.folder.mkdir()
        self.ca, self.certificate, self.key = (self.folder / file for file in
                                               ("ca.pem", "server.pem", "server.key"))
        ca_key, request = self.folder / "ca.key", self.folder / "server.csr"
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1\n", encoding="utf-8")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self._openssl("req", "-x509", *new_key, "-keyout", ca_key, "-out", self.ca, "-days", days,
                      "-subj", "/CN=fleet CA")
        self._openssl("req", *new_key, "-keyout", self.key, "-out", request, "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key,
                      "-CAcreateserial", "-out", self.certificate, "-days", days, "-extfile",
                      extensions)

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
