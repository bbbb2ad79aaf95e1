#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The whole trust authority on this machine, for vta-bench: PyKMIP,
vta-attestd, vta-kmxd, and a host with vta-kmxa, whose TPM is swtpm and whose
logs are a recorded boot's. Prints one line of JSON that says where all is, and
ends when its standard input does."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests",
                                "integration"))
import attestd  # noqa: E402
import hosttpm  # noqa: E402
import kms  # noqa: E402
import kmxa  # noqa: E402
import kmxd  # noqa: E402
import pki  # noqa: E402
from attestd import b64  # noqa: E402

ISSUER = "https://vta.test"
GROUP = "lab"


class Node(kmxd.Node):
    """As it is installed: nothing but events in its log."""

    def write(self, **more):
        super().write(**more)
        with open(self.conf, encoding="ascii") as f:
            text = f.read().replace("level = debug", "level = info")
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(text)


class Place:
    def __init__(self, place):
        self.place = place
        self.certs = pki.Pki()
        self.node = self.agent = None

    def start(self):
        for name in "server", "root", "kmxd":
            self.certs.cert(name)
        # All simulated hosts have one address.
        self.attestd = attestd.Attestd(
            self.certs, self.place, store=self.path("state.db"),
            sealing=self.path("sealing"), per_address=256).start()
        self.attestd.first_admin("root")
        self.jwks = self
        self.url = f"https://localhost:{self.attestd.port}"
        self.ek_ca()
        # A KEK stays for as long as the measurement. Leases are as long as
        # an administrator of thousands of hosts would have them.
        self.node = Node(self, 0, kek_seconds=3600, lease=300, skew=5, ek_ca=(
            self.path("ekca.pem"), self.path("ekca.key")))
        self.kms_place = kms.Place()
        self.kms = kms.Pykmip(self.kms_place)
        self.admin("PUT", "/v1/kms/main", {
            "nodes": [self.kms.node], "ca": self.text("ca.pem"),
            "certificate": self.text("client.pem"),
            "key": self.text("client.key"), "default": True})
        self.group([])
        self.host()

    def path(self, name):
        return os.path.join(self.place, name)

    def text(self, name):
        with open(self.kms_place.path(name), encoding="ascii") as f:
            return f.read()

    def admin(self, method, path, body=None):
        r = self.node.call(method, path, body, cert=(
            self.certs.path("root.pem"), self.certs.path("root.key")))
        if r.status >= 300:
            raise RuntimeError(f"{method} {path}: {r}")
        return r.json

    def ek_ca(self):
        self.certs.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-384", "-nodes", "-days", "30", "-sha384",
            "-subj", "/CN=EK CA", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign", "-keyout",
            self.path("ekca.key"), "-out", self.path("ekca.pem"))
        os.chmod(self.path("ekca.key"), 0o600)

    def group(self, policies):
        self.attestd.must("PUT", f"/v1/groups/{GROUP}",
                          {"policies": policies, "token_seconds": 3600})

    def host(self):
        """One that is real, and the policy from what it shows."""
        self.tpm = attestd.Agent(self.place, "real")
        self.attestd.must("PUT", "/v1/hosts/real", {
            "ek": b64(self.tpm.ek),
            "ek_certificate": b64(self.tpm.certificate), "group": GROUP})
        attestd.import_cas(self.attestd, self.place)
        self.attestd.must("POST", "/v1/hosts/real/capture",
                          {"policy": "base", "ima": True})
        self.tpm.attest(self.attestd)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            got = self.attestd.must("GET", "/v1/hosts/real/capture")
            if got["state"] != "waiting":
                break
            time.sleep(0.1)
        self.attestd.must("PUT", "/v1/policies/base", got["document"])
        self.group(["base"])
        os.chmod(self.tpm.host.dir, 0o755)
        # The configuration of the test's debugs; this one's does not.
        self.agent = kmxa.Kmxa(
            self.tpm.host, self.certs, self.url,
            f"https://localhost:{self.node.port}", start=False,
            agent_name="real", tpm_event_log=self.tpm.path("eventlog"),
            tpm_ima_log=self.tpm.path("ima"), access_all="root nobody",
            access_create="root", log_level="info",
            agent_socket=self.certs.path("agent.sock"))
        # Where vtpmd's user comes through, whoever may enter this directory.
        self.agent.socket = self.certs.path("agent.sock")
        self.agent.start("attested")
        with open(self.path("vtpmd.conf"), "w", encoding="ascii") as f:
            f.write(f"[authority]\nsocket = {self.agent.socket}\n")

    def pcrs(self):
        """Those that its TPM has now, for hosts that have booted as it has."""
        out = subprocess.run(
            ["tpm2_pcrread", "sha256", "-o", self.path("pcrs")], check=True,
            stdout=subprocess.DEVNULL, timeout=30,
            env={**os.environ, "TPM2TOOLS_TCTI": self.tpm.host.tcti()})
        with open(self.path("pcrs"), "rb") as f:
            return f.read().hex()

    def where(self):
        return {
            "attestd_port": self.attestd.port, "kmxd_port": self.node.port,
            "attestd_pid": self.attestd.p.pid,
            "kmxd_pid": self.node.process.pid,
            "ca": self.certs.path("ca.pem"),
            "server_cert": self.certs.path("server.pem"),
            "server_key": self.certs.path("server.key"),
            "root_cert": self.certs.path("root.pem"),
            "root_key": self.certs.path("root.key"),
            "store": self.path("state.db"), "sealing": self.path("sealing"),
            "issuer": ISSUER, "group": GROUP, "pcrs": self.pcrs(),
            "eventlog": self.tpm.path("eventlog"),
            "ima": self.tpm.path("ima"), "config": self.path("vtpmd.conf")}

    def stop(self):
        """As much as has been started; PyKMIP ends with this process."""
        if self.agent is not None:
            self.agent.stop()
        if self.node is not None:
            self.node.stop()
        attestd.stop_all()
        hosttpm.stop_all()


def main():
    for program in ("swtpm", "swtpm_setup", "openssl", "tpm2_pcrread"):
        if not shutil.which(program):
            sys.exit(f"authority.py: {program} is not installed")
    kmxd.ISSUER = ISSUER
    os.makedirs("authority", exist_ok=True)
    place = Place(os.path.abspath("authority"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        place.start()
        print(json.dumps(place.where()), flush=True)
        sys.stdin.read()
    finally:
        place.stop()


main()
