# SPDX-License-Identifier: BSD-3-Clause
"""A directory with a CA and certificates, made by the openssl command."""
import atexit
import os
import shutil
import subprocess
import tempfile


class Pki:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="pki-")
        atexit.register(shutil.rmtree, self.dir, True)
        os.chmod(self.dir, 0o755)
        self.ca()

    def path(self, name):
        return os.path.join(self.dir, name)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, timeout=30,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def key(self, name):
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-out",
                     self.path(name + ".key"))

    def ca(self, name="ca"):
        self.key(name)
        self.openssl("req", "-x509", "-new", "-key", self.path(name + ".key"),
                     "-subj", "/CN=test " + name, "-days", "2", "-out",
                     self.path(name + ".pem"))

    def cert(self, name, cn=None, ca="ca", usage="clientAuth,serverAuth",
             days="2"):
        self.key(name)
        csr, ext = self.path(name + ".csr"), self.path(name + ".ext")
        with open(ext, "w") as f:
            f.write(f"subjectAltName=DNS:localhost,IP:127.0.0.1\n"
                    f"extendedKeyUsage={usage}\n")
        self.openssl("req", "-new", "-key", self.path(name + ".key"), "-subj",
                     "/CN=" + (cn or name), "-out", csr)
        self.openssl("x509", "-req", "-in", csr, "-CA",
                     self.path(ca + ".pem"), "-CAkey", self.path(ca + ".key"),
                     "-CAcreateserial", "-days", days, "-extfile", ext,
                     "-out", self.path(name + ".pem"))
        return self.path(name + ".pem"), self.path(name + ".key")
