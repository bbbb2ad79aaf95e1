# SPDX-License-Identifier: BSD-3-Clause
"""vta-kmxd for tests: a store, certificates, a key set served over HTTPS whose
tokens are signed here by python3-jwcrypto, PyKMIP as the KMS, and hosts that
open what they get by jwcrypto too."""
import atexit
import http.client
import http.server
import json
import os
import queue
import re
import secrets
import shutil
import signal
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import uuid

from jwcrypto import jwe, jwk, jws

import kms
import pki
import wire

KMXD = os.path.join(wire.BUILD, "vta-kmxd")
STORE_RUN = os.path.join(wire.BUILD, "tests", "tools", "store-run")
ISSUER = "https://authority.test"
SEALING = "5a" * 32
TIMEOUT = 30
UNTIL = 1 << 40


def b64(data):
    import base64
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    import base64
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Jwks:
    """vta-attestd's key set, and a key to sign with."""

    def __init__(self, certs):
        self.key = jwk.JWK.generate(kty="EC", crv="P-256")
        self.keys = [self.key]
        self.asked, self.up, self.slow = 0, True, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                time.sleep(outer.slow)
                body = json.dumps({"keys": [
                    dict(json.loads(k.export_public()), kid=k.thumbprint(),
                         use="sig", alg="ES256", nbf=0, exp=UNTIL)
                    for k in outer.keys]}).encode()
                self.send_response(200 if outer.up else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        cert, key = certs.cert("attestd")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket,
                                                 server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def sign(self, claims, key=None, alg="ES256", typ="vtpm-host+jwt"):
        key = key or self.key
        token = jws.JWS(json.dumps(claims).encode())
        token.allowed_algs = [alg]
        token.add_signature(key, protected=json.dumps(
            {"alg": alg, "typ": typ, "kid": key.thumbprint()}))
        return token.serialize(compact=True)


class Reply:
    def __init__(self, status, data, kind):
        self.status, self.data = status, data
        self.json = json.loads(data) if "json" in (kind or "") else None

    def __repr__(self):
        return f"{self.status} {self.data[:300]!r}"

    @property
    def refusal(self):
        """What a host sees of it: status, code, fault."""
        j = self.json or {}
        return self.status, j.get("code"), j.get("fault")

    @property
    def detail(self):
        return (self.json or {}).get("detail", "")


class Host:
    def __init__(self, authority, name, group="lab", policy="base-1"):
        self.a, self.name, self.group, self.policy = (authority, name, group,
                                                      policy)
        self.transport = jwk.JWK.generate(kty="EC", crv="P-256")

    def claims(self, **changes):
        now = int(time.time())
        c = {"iss": ISSUER, "aud": "vta-kmxd", "sub": self.name,
             "group": self.group, "policy": self.policy,
             "evidence": b64(bytes(32)), "iat": now, "exp": now + 600,
             "jti": secrets.token_hex(16),
             "cnf": {"jwk": json.loads(self.transport.export_public())}}
        c.update(changes)
        return c

    def token(self, **changes):
        return self.a.jwks.sign(self.claims(**changes))

    def call(self, method, path, body=None, node=0, token=None):
        return self.a.nodes[node].call(method, path, body,
                                       token=token or self.token())

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def key_of(self, reply):
        """Opens the JWE as any JOSE library does."""
        box = jwe.JWE(algs=["ECDH-ES+A256KW", "A256GCM"])
        box.deserialize(reply.json["key"] if hasattr(reply, "json") else
                        reply, self.transport)
        assert json.loads(box.objects["protected"])["typ"] == "vtpm-key"
        return box.payload

    def create(self, vm, name="a vm", **more):
        return self.post("/v1/vms", {"vm": vm, "name": name}, **more)

    def make(self, vm, **body):
        r = self.post(f"/v1/vms/{vm}/keys", body)
        assert r.status == 200, r
        return r.json["wrapped"], self.key_of(r)

    def open(self, vm, wrapped, **more):
        return self.post(f"/v1/vms/{vm}/keys/open", {"wrapped": wrapped},
                         **more)

    def acquire(self, vm, epoch, digest, instance, node=0, **more):
        return self.post(f"/v1/vms/{vm}/acquire", dict(
            epoch=epoch, digest=digest, instance=instance, **more), node=node)

    def confirm(self, vm, epoch, instance, node=0):
        return self.post(f"/v1/vms/{vm}/confirm", {
            "epoch": epoch, "instance": instance}, node=node)

    def release(self, vm, epoch, digest, instance, synced=True, node=0):
        return self.post(f"/v1/vms/{vm}/release", {
            "epoch": epoch, "digest": digest, "instance": instance,
            "synced": synced}, node=node)

    def lease(self, *vms, node=0):
        return self.post("/v1/leases", {"vms": [
            {"vm": v, "epoch": e, "instance": i} for v, e, i in vms]},
            node=node)


class Node:
    """One vta-kmxd."""

    def __init__(self, authority, number, prefix=(), **config):
        self.a, self.prefix = authority, prefix
        self.conf = authority.path(f"kmxd{number}.conf")
        self.log = authority.path(f"kmxd{number}.log")
        self.write(**config)
        self.process = None
        self.start()

    def write(self, **c):
        a = self.a
        cert, key = a.certs.cert("kmxd")
        text = f"""[server]
address = 127.0.0.1
port = 0
certificate = {cert}
key = {key}
client_ca = {a.certs.path('ca.pem')}
connections_per_peer = 1000
[store]
file = {a.path('state.db')}
[authority]
name = test
url = {ISSUER}
sealing_key = {a.path('sealing')}
[attestation]
url = {c.get('url', a.jwks.url)}
ca = {a.certs.path('ca.pem')}
[keys]
kek_seconds = {c.get('kek_seconds', 10)}
[leases]
seconds = {c.get('lease', 60)}
skew_seconds = {c.get('skew', 0)}
[log]
level = debug
"""
        if c.get("ek_ca"):
            text += f"""[ek_ca]
certificate = {c['ek_ca'][0]}
key = {c['ek_ca'][1]}
crl_url = http://crl.test/ek.crl
"""
        with open(self.conf, "w") as f:
            f.write(text)

    def start(self):
        if os.path.exists(self.log):
            os.rename(self.log, self.log + ".before")
        self.process = subprocess.Popen(
            [*self.prefix, KMXD, "--config", self.conf],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.log, "w"))
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            m = re.search(r"listens on \S+ port (\d+)", self.logged())
            if m:
                self.port = int(m[1])
                return
            time.sleep(0.02)
        raise RuntimeError("vta-kmxd does not come up: " + self.logged())

    def logged(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def events(self, name):
        return [x for x in self.logged().splitlines()
                if f"event={name} " in x]

    def wait_for(self, regex, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if re.search(regex, self.logged()):
                return True
            time.sleep(0.05)
        return False

    def kill(self):
        self.process.kill()
        self.process.wait(TIMEOUT)

    def stop(self):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def call(self, method, path, body=None, token=None, cert=None):
        context = ssl.create_default_context(
            cafile=self.a.certs.path("ca.pem"))
        if cert:
            context.load_cert_chain(*cert)
        c = http.client.HTTPSConnection("127.0.0.1", self.port,
                                        context=context, timeout=TIMEOUT)
        headers = {}
        if token:
            headers["Authorization"] = "Bearer " + token
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = body if isinstance(body, bytes) else json.dumps(body)
        try:
            c.request(method, path, data, headers)
            r = c.getresponse()
            return Reply(r.status, r.read(), r.getheader("Content-Type"))
        finally:
            c.close()


class Authority:
    def __init__(self, nodes=1, with_kms=True, **config):
        self.dir = tempfile.mkdtemp(prefix="kmxd-")
        atexit.register(self.end)
        self.nodes, self.servers = [], []
        self.certs = pki.Pki()
        self.jwks = Jwks(self.certs)
        with open(self.path("sealing"), "w") as f:
            f.write(SEALING + "\n")
        os.chmod(self.path("sealing"), 0o600)
        self.store = subprocess.Popen(
            [STORE_RUN, json.dumps({"kind": "sqlite", "file":
                                    self.path("state.db")})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.store.stdout.readline() == "open\n"
        self.lock = threading.Lock()
        self.admins = {}
        for role in ("admin", "operator", "auditor"):
            cert = self.certs.cert(role + "-cert", cn=role)
            self.admins[role] = cert
            self.put("admin", self.fingerprint(cert[0]),
                     {"name": role, "role": role, "added": 1})
        config.setdefault("ek_ca", None)
        self.config = config
        for i in range(nodes):
            self.nodes.append(Node(self, i, **config))
        if with_kms:
            self.place = kms.Place()
            self.kms = kms.Pykmip(self.place)
            r = self.add_kms("main", [self.kms.node])
            assert r.status == 200, r

    def path(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def fingerprint(pem):
        out = subprocess.run(["openssl", "x509", "-in", pem, "-noout",
                              "-fingerprint", "-sha256"], check=True,
                             capture_output=True, text=True).stdout
        return out.split("=")[1].strip().replace(":", "").lower()

    def do(self, what, **order):
        with self.lock:
            self.store.stdin.write(json.dumps({"do": what, **order}) + "\n")
            self.store.stdin.flush()
            return json.loads(self.store.stdout.readline())

    def put(self, kind, key, value):
        r = self.do("commit", ops=[{"what": "put", "kind": kind, "key": key,
                                    "value": json.dumps(value)}])
        assert "version" in r and not r.get("text"), r

    def get(self, kind, key):
        r = self.do("get", kind=kind, key=key)
        return json.loads(r["record"]["value"]) if "record" in r else None

    def list(self, kind):
        return [r["key"] for r in self.do("list", kind=kind)["records"]]

    def host(self, name, group="lab", policy="base-1", **record):
        self.put("host", name, {"ek": "00" * 32, "ek_pem": "x",
                                "group": group, "revoked": 0, **record})
        return Host(self, name, group, policy)

    def admin(self, method, path, body=None, role="admin", node=0):
        return self.nodes[node].call(method, path, body,
                                     cert=self.admins[role])

    def add_kms(self, name, nodes, place=None, query="", default=True,
                **changes):
        place = place or self.place

        def text(f):
            with open(place.path(f)) as h:
                return h.read()
        body = {"nodes": nodes, "ca": text("ca.pem"),
                "certificate": text("client.pem"), "key": text("client.key"),
                "default": default}
        body.update(changes)
        return self.admin("PUT", f"/v1/kms/{name}{query}", body)

    def kms_keys(self, vm):
        """{name: [(state, value)]} of a VM's KEKs, from what the KMS itself
        keeps: state 2 is active."""
        with sqlite3.connect(f"file:{self.place.path('kms.db')}?mode=ro",
                             uri=True) as db:
            rows = db.execute(
                "select n.name, c.state, m.value from managed_objects m "
                "join managed_object_names n on n.mo_uid = m.uid "
                "join crypto_objects c on c.uid = m.uid").fetchall()
        found = {}
        for name, state, value in rows:
            if vm in name:
                found.setdefault(name, []).append((state, bytes(value)))
        return found

    def kms_name(self, uid):
        with sqlite3.connect(f"file:{self.place.path('kms.db')}?mode=ro",
                             uri=True) as db:
            row = db.execute("select name from managed_object_names where "
                             "mo_uid = ?", (uid,)).fetchone()
        return row[0] if row else None

    def end(self):
        for n in self.nodes:
            n.stop()
        if getattr(self, "store", None) and self.store.poll() is None:
            self.store.stdin.close()
            self.store.wait(TIMEOUT)
        shutil.rmtree(self.dir, True)


def new_vm():
    return str(uuid.uuid4())


def at_once(count, call):
    """What call(i) returned, all at the same moment."""
    out, gate = queue.Queue(), threading.Barrier(count)

    def run(i):
        gate.wait(TIMEOUT)
        out.put((i, call(i)))
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(TIMEOUT)
    return dict(out.get() for _ in range(out.qsize()))
