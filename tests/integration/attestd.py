# SPDX-License-Identifier: BSD-3-Clause
"""vta-attestd for tests: the service with its certificates and store,
administrators who talk to it, and hosts that attest with Python's own HTTP
client, so that they can also do what no agent of ours would do."""
import atexit
import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import time

import hosttpm
import wire

ATTESTD = os.path.join(wire.BUILD, "vta-attestd")
TIMEOUT = 60
BOOT = "crb-chain"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fingerprint(path):
    with open(path, encoding="ascii") as f:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(
            f.read())).hexdigest()


class Attestd:
    """One node. Several may share a store and a sealing key."""
    all = []

    def __init__(self, certs, place, name="a", store=None, sealing=None,
                 **attest):
        self.certs, self.place, self.name = certs, place, name
        self.log = os.path.join(place, name + ".log")
        self.store = store or os.path.join(place, name + ".db")
        self.sealing = sealing or os.path.join(place, name + ".sealing")
        if not os.path.exists(self.sealing):
            with open(self.sealing, "w", encoding="ascii") as f:
                f.write(os.urandom(32).hex() + "\n")
            os.chmod(self.sealing, 0o600)
        self.config = os.path.join(place, name + ".conf")
        self.attest = attest
        self.p, self.port = None, None
        Attestd.all.append(self)

    def write_config(self, **more):
        cert = self.certs.path("server")
        lines = ["[authority]", "name = test", "url = https://vta.test",
                 f"sealing_key = {self.sealing}", "[server]",
                 "address = 127.0.0.1", "port = 0",
                 f"certificate = {cert}.pem", f"key = {cert}.key",
                 f"client_ca = {self.certs.path('ca.pem')}", "workers = 4",
                 "connections_per_peer = 200", "request_seconds = 20",
                 "[store]", f"file = {self.store}", "[attest]"]
        lines += [f"{k} = {v}" for k, v in {**self.attest, **more}.items()]
        with open(self.config, "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def start(self, **more):
        self.write_config(**more)
        with open(self.log, "ab") as log:
            at = log.tell()
            self.p = subprocess.Popen(
                [ATTESTD, "--config", self.config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        end = time.monotonic() + TIMEOUT
        while True:
            found = re.search(r"listens on \S+ port (\d+)",
                              self.logged()[at:])
            if found:
                break
            if self.p.poll() is not None or time.monotonic() > end:
                raise RuntimeError("vta-attestd did not start: " +
                                   self.logged()[at:])
            time.sleep(0.02)
        self.port = int(found.group(1))
        return self

    def stop(self):
        if self.p is None:
            return 0
        if self.p.poll() is None:
            self.p.terminate()
        try:
            return self.p.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.p.kill()
            return self.p.wait()
        finally:
            self.p = None

    def kill(self):
        self.p.kill()
        self.p.wait()
        self.p = None

    def logged(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def events(self, name):
        return [line for line in self.logged().splitlines()
                if f"event={name}" in line]

    def first_admin(self, cert, role="admin"):
        """As vtactl init does it: a record in the store."""
        db = sqlite3.connect(self.store, timeout=20)
        with db:
            number = db.execute("UPDATE revision SET number = number + 1 "
                                "RETURNING number").fetchone()[0]
            db.execute("INSERT INTO record (kind, key, version, value) "
                       "VALUES ('admin', ?, ?, ?)",
                       (fingerprint(self.certs.path(cert + ".pem")), number,
                        json.dumps({"name": cert, "role": role,
                                    "added": 1}).encode()))
        db.close()

    def connect(self, cert=None):
        c = ssl.create_default_context(cafile=self.certs.path("ca.pem"))
        if cert:
            c.load_cert_chain(self.certs.path(cert + ".pem"),
                              self.certs.path(cert + ".key"))
        return http.client.HTTPSConnection("localhost", self.port,
                                           timeout=TIMEOUT, context=c)

    def ask(self, method, path, body=None, cert="root"):
        c = self.connect(cert)
        try:
            headers = {}
            if body is not None:
                if not isinstance(body, (str, bytes)):
                    body = json.dumps(body)
                headers["Content-Type"] = "application/json"
            c.request(method, path, body, headers)
            r = c.getresponse()
            text = r.read()
        finally:
            c.close()
        try:
            return r.status, json.loads(text)
        except ValueError:
            return r.status, text

    def must(self, method, path, body=None, cert="root"):
        status, got = self.ask(method, path, body, cert)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {got}")
        return got

    def status_of(self, host):
        page = self.must("GET", "/v1/status")
        return next((h for h in page["hosts"] if h["name"] == host), None)


class Agent:
    """A host's agent: swtpm is its TPM, agent-run the TPM's half."""

    def __init__(self, place, name, certificates=True, ek=None):
        self.host = hosttpm.Host(place, name, certificates)
        self.host.ek = ek
        self.name, self.place = name, place
        self.eventlog = hosttpm.golden(BOOT, "eventlog")
        self.ima = hosttpm.golden(BOOT, "ima")
        self.boot()
        code, _, why = self.host.agent("identity", self.host.ids)
        if code:
            raise RuntimeError(why)
        self.ek = self.read(self.host.ids + ".ek.pub")[2:]
        self.ak = self.read(self.host.ids + ".ak.pub")[2:]
        self.certificate = self.read(self.host.ids + ".ek.crt")

    def boot(self):
        self.host.send(hosttpm.event_extends(self.eventlog))
        self.host.send(hosttpm.ima_extends(self.ima))
        self.write("eventlog", self.eventlog)
        self.write("ima", self.ima)

    def reboot(self):
        self.host.reboot()
        self.boot()

    def path(self, name):
        return self.host.path(name)

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def begin_body(self, **more):
        body = {"ek": b64(self.ek), "ak": b64(self.ak), "name": self.name}
        if self.certificate:
            body["ek_certificate"] = b64(self.certificate)
        body.update(more)
        return {k: v for k, v in body.items() if v is not None}

    def activate(self, credential):
        blob = (struct.pack(">II", 0xbadcc0de, 1) + unb64(credential["blob"]) +
                unb64(credential["secret"]))
        code, _, why = self.host.agent("activate",
                                       self.write("credential", blob),
                                       self.path("activated"))
        if code:
            raise RuntimeError(why)
        return self.read(self.path("activated"))

    def evidence(self, nonce, pcrs, eventlog=True, ima=True):
        options = (("-l", self.path("eventlog")) if eventlog else ()) + (
            ("-i", self.path("ima")) if ima else ())
        code, _, why = self.host.agent(
            "evidence", self.write("nonce", nonce), pcrs,
            self.path("evidence"), self.path("transport"), options=options)
        if code:
            raise RuntimeError(why)
        return self.read(self.path("evidence")), self.read(
            self.path("transport"))

    def begin(self, server, **more):
        return server.ask("POST", "/v1/attest/begin", self.begin_body(**more),
                          cert=None)

    def prepare(self, begun):
        """What is to be sent after `begun`."""
        body = {"session": begun["session"]}
        if "credential" in begun:
            body["secret"] = b64(self.activate(begun["credential"]))
        evidence, transport = self.evidence(
            unb64(begun["nonce"]), begun["pcrs"], begun["event_log"],
            begun["ima_log"])
        body["evidence"], body["transport_key"] = b64(evidence), b64(transport)
        return body

    def finish(self, server, body):
        return server.ask("POST", "/v1/attest/finish", body, cert=None)

    def attest(self, server, **more):
        status, begun = self.begin(server, **more)
        if status != 200:
            return status, begun
        return self.finish(server, self.prepare(begun))


def sections_join(parts):
    """Evidence of sections, as hosttpm.sections takes it apart."""
    return b"VTAEVID1" + b"".join(
        struct.pack(">HI", kind, len(parts[kind])) + parts[kind]
        for kind in sorted(parts))


def import_cas(server, place):
    """swtpm_localca's, as PEM; their fingerprints."""
    out = []
    for name in ("swtpm-localca-rootca-cert.pem", "issuercert.pem"):
        with open(os.path.join(place, "ca", name), encoding="ascii") as f:
            pem = f.read()
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(
            pem[pem.index("-----BEGIN"):])).hexdigest()
        server.must("PUT", f"/v1/ek-cas/{digest}", {"pem": pem})
        out.append(digest)
    return out


def stop_all():
    for server in Attestd.all:
        server.stop()


def begin_test():
    """A directory that goes with the test, whatever ends it."""
    place = tempfile.mkdtemp(prefix="vtpmd-test.")

    def clean():
        stop_all()
        hosttpm.stop_all()
        shutil.rmtree(place, True)
    atexit.register(clean)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return place
