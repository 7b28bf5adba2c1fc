"""Certificates for mutual TLS, made by the openssl command."""

import subprocess


class Authority:
    """Signs certificates. Its files lie in a folder of its own."""

    def __init__(self, home, name):
        self.home = home / name
        self.home.mkdir()
        self.certificate = self.home / "ca.pem"
        self.key = self.home / "ca.key"
        self._openssl("req", "-x509", *NEW_KEY, "-keyout", self.key, "-out", self.certificate, "-subj", f"/CN={name}")

    def sign(self, name):
        """A certificate for a server at 127.0.0.1, or for a client: its file and its key's."""
        request, key, certificate = (self.home / f"{name}.{end}" for end in ("csr", "key", "pem"))
        extensions = self.home / f"{name}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self._openssl("req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        self._openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"),
            *("-days", "36500", "-extfile", extensions, "-out", certificate),
        )
        return certificate, key

    @staticmethod
    def _openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "36500")
