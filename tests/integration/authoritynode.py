# SPDX-License-Identifier: BSD-3-Clause
"""An authority that does what a test wants, for faults that the real services
do not have: both services on one port, in threads of this process. Written from
doc/authority-protocols.md; JOSE by jwcrypto, credentials by libattest's tool,
epochs as the document says them, in few lines. Time is what the test says."""
import atexit
import base64
import hashlib
import http.server
import json
import os
import socket
import ssl
import threading
import time
import urllib.parse

from jwcrypto import jwe, jwk

import hosttpm


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Problem(Exception):
    def __init__(self, status, code, fault, detail):
        super().__init__(detail)
        self.status = status
        self.body = {"type": "about:blank", "title": code, "status": status,
                     "code": code, "detail": detail}
        if fault:
            self.body["fault"] = fault


def seal(key, payload):
    token = jwe.JWE(payload, protected=json.dumps(
        {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "typ": "vtpm-key"}))
    token.add_recipient(key)
    return token.serialize(compact=True)


class Node(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass


class Authority:
    """The state survives stop() and start() of the server."""

    def __init__(self, certs, place, certificate="node"):
        self.certs, self.place = certs, place
        self.lock = threading.RLock()
        self.port, self.server = 0, None
        self.asked = []             # "METHOD path", in order
        self.bodies = []            # of attest/begin
        self.aks, self.sessions, self.tokens = set(), {}, {}
        self.vms = {}               # uuid: {epoch, digest, clean, owner, ...}
        self.keys = {}              # wrapped: key
        self.lease = 60
        self.busy = 409
        self.token_seconds = 600
        self.attest_again = None
        self.pcrs = "sha256:0,1,2,3,4,5,6,7,8,9,12,14"
        self.policy = None          # path: judged by it; None: accepted
        self.verdict = None         # forced: (accepted, reason)
        self.revoked = None         # reason
        self.identity_tokens = False
        self.fail = {}              # path's end: Problem, or a function
        self.delay = {}             # path's end: seconds
        self.start(certificate)
        atexit.register(self.stop)

    # -- the server -----------------------------------------------------------
    def start(self, certificate="node"):
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def serve(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else {}
                bearer = (self.headers.get("Authorization") or
                          "Bearer ")[7:]
                try:
                    status, answer = authority.handle(
                        self.command, self.path, bearer, body)
                except Problem as e:
                    status, answer = e.status, e.body
                data = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = serve

        self.server = Node(("127.0.0.1", self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certs.path(certificate + ".pem"),
                                self.certs.path(certificate + ".key"))
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.connections = set()
        plain = self.server.get_request

        def get_request():
            connection, peer = plain()
            self.connections.add(connection)
            return connection, peer

        self.server.get_request = get_request
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def stop(self):
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.server = None

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    # -- what it answers ------------------------------------------------------
    def handle(self, method, path, bearer, body):
        path, _, query = path.partition("?")
        self.asked.append(f"{method} {path}")
        for end, seconds in self.delay.items():
            if path.endswith(end):
                time.sleep(seconds)
        for end, what in list(self.fail.items()):
            if path.endswith(end):
                if isinstance(what, Problem):
                    raise what
                return what(body)
        with self.lock:
            if path == "/v1/attest/begin":
                return 200, self.begin(body)
            if path == "/v1/attest/finish":
                return 200, self.finish(body)
            return self.kmxd(method, path.split("/")[2:], query, bearer, body)

    def file(self, name, data=None):
        path = os.path.join(self.place, "authority-" + name)
        if data is not None:
            with open(path, "wb") as f:
                f.write(data)
        with open(path, "rb") as f:
            f.read(0)
        return path

    def begin(self, body):
        self.bodies.append(body)
        if self.revoked:
            raise Problem(403, "refused", "host", self.revoked)
        ek, ak = unb64(body["ek"]), unb64(body["ak"])
        nonce, session = os.urandom(32), b64(os.urandom(16))
        self.file("ek", len(ek).to_bytes(2, "big") + ek)
        self.file("ak", len(ak).to_bytes(2, "big") + ak)
        answer = {"session": session, "nonce": b64(nonce), "pcrs": self.pcrs,
                  "event_log": self.policy is not None,
                  "ima_log": self.policy is not None}
        secret = None
        if ak not in self.aks:
            secret = os.urandom(32)
            code, text = hosttpm.show(
                "credential", self.file("ek"), self.file("ak"),
                self.file("secret", secret), self.file("credential", b""))
            assert code == 0, text
            with open(self.file("credential"), "rb") as f:
                data = f.read()[8:]
            size = 2 + int.from_bytes(data[:2], "big")
            answer["credential"] = {"blob": b64(data[:size]),
                                    "secret": b64(data[size:])}
        self.sessions[session] = (nonce, secret, ak, body["name"])
        return answer

    def judge(self, nonce, transport, evidence):
        """(accepted, verdict)"""
        if self.verdict is not None:
            accepted, reason = self.verdict
            return accepted, {"accepted": accepted, "reason": reason}
        if self.policy is None:
            return True, {"accepted": True, "reason": ""}
        binding = hashlib.sha256(
            b"vta-quote-1\0" + len(nonce).to_bytes(2, "big") + nonce +
            len(transport).to_bytes(2, "big") + transport).hexdigest()
        code, text = hosttpm.show(
            "judge", self.file("evidence", evidence), self.file("ak"),
            self.file("ek"), binding, self.policy)
        verdict = json.loads(text)
        return code == 0, verdict

    def finish(self, body):
        nonce, secret, ak, name = self.sessions.pop(body["session"])
        if secret is not None:
            if unb64(body.get("secret", "")) != secret:
                raise Problem(401, "auth", "host", "the secret is wrong")
            self.aks.add(ak)
        elif "secret" in body:
            raise Problem(400, "usage", None, "a secret that nobody hid")
        transport = unb64(body["transport_key"])
        evidence = unb64(body["evidence"])
        accepted, verdict = self.judge(nonce, transport, evidence)
        self.evidence = evidence
        answer = {"accepted": accepted, "host": name, "group": "g",
                  "policy": "p" if accepted else "(none)",
                  "verdict": verdict}
        if accepted or self.identity_tokens:
            token = b64(os.urandom(24))
            key = jwk.JWK.from_pem(ssl_pem(transport))
            answer["token"] = token
            answer["expires"] = int(time.time()) + self.token_seconds
            self.tokens[token] = (key, answer["expires"], accepted, name)
        if self.attest_again is not None:
            answer["attest_again"] = self.attest_again
        return answer

    # -- vta-kmxd -------------------------------------------------------------
    def kmxd(self, method, path, query, bearer, body):
        if self.revoked:
            raise Problem(403, "refused", "host", self.revoked)
        if bearer not in self.tokens:
            raise Problem(401, "auth", "token", "no such token")
        key, expires, accepted, host = self.tokens[bearer]
        if time.time() >= expires:
            raise Problem(401, "auth", "token", "the token has ended")
        if path == ["leases"]:
            return 200, {"vms": [self.renew(v) for v in body["vms"]],
                         "lease_seconds": self.lease}
        if not accepted:
            raise Problem(403, "refused", "policy",
                          "this VM needs a trusted host")
        if path == ["vms"]:
            if body["vm"] in self.vms:
                raise Problem(409, "exists", None, "it is there")
            self.vms[body["vm"]] = {"name": body["name"], "wrapped": None,
                                    "epoch": None, "owner": None,
                                    "group": body.get("group", "g")}
            return 201, None
        if path == ["keys"]:
            after = urllib.parse.parse_qs(query).get("after", [""])[0]
            names = sorted(v for v in self.vms if v > after and
                           self.vms[v]["wrapped"])
            return 200, {"keys": [
                {"vm": v, "wrapped": b64(self.vms[v]["wrapped"]),
                 "key": seal(key, self.keys[self.vms[v]["wrapped"]])}
                for v in names[:2]], "more": len(names) > 2}
        vm = self.vms.get(path[1])
        if vm is None:
            raise Problem(404, "not-found", "grant", "no such VM")
        return self.about(method, "/".join(path[2:]), path[1], vm, key, body)

    def about(self, method, what, name, vm, key, body):
        if method == "DELETE":
            del self.vms[name]
            return 204, None
        if what == "keys":
            wrapped, k = os.urandom(100), os.urandom(32)
            self.keys[wrapped] = k
            vm["wrapped"] = wrapped
            return 200, {"wrapped": b64(wrapped), "key": seal(key, k),
                         "label": "authority test, group g, KEK 1"}
        if what == "keys/open":
            k = self.keys.get(unb64(body["wrapped"]))
            if k is None:
                raise Problem(403, "key", "kms", "wrapped by no KEK of this "
                              "VM")
            return 200, {"key": seal(key, k)}
        if what == "ek-certificates":
            return 200, {"certificates": [b64(b"cert of " + unb64(e))
                                          for e in body["eks"]],
                         "chain": [b64(b"ca")], "crl_url": "x"}
        return getattr(self, what)(vm, body)

    def register(self, vm, body):
        if vm["epoch"] is not None:
            raise Problem(409, "exists", "epoch", "there is a record")
        vm.update(epoch=body["epoch"], digest=body["digest"], clean=True,
                  confirmed=True)
        return 204, None

    def fresh(self, vm, body):
        if vm["epoch"] is None:
            raise Problem(404, "not-found", "epoch", "no record")
        if not vm["confirmed"] and body["epoch"] in (vm["epoch"],
                                                     vm["epoch"] - 1):
            return
        if body["epoch"] != vm["epoch"] or (
                vm["clean"] and body["digest"] != vm["digest"]):
            raise Problem(409, "stale", "epoch",
                          f"epoch {body['epoch']} is not the last, "
                          f"{vm['epoch']}, as it was left")

    def acquire(self, vm, body):
        owner = vm["owner"]
        if owner is not None and owner[0] != body["instance"] and \
                time.time() < owner[1]:
            raise Problem(self.busy, "busy", "epoch", "owned by another")
        self.fresh(vm, body)
        if owner is None or owner[0] != body["instance"]:
            vm.update(epoch=vm["epoch"] + 1, clean=False, confirmed=False)
        vm["owner"] = (body["instance"], time.time() + self.lease)
        return 200, {"epoch": vm["epoch"], "synced": True,
                     "lease_seconds": self.lease}

    def owned(self, vm, body):
        if vm["owner"] is None or vm["owner"][0] != body["instance"] or \
                vm["epoch"] != body["epoch"]:
            raise Problem(409, "stale", "epoch", "another owns it")

    def confirm(self, vm, body):
        self.owned(vm, body)
        vm["confirmed"] = True
        return 204, None

    def release(self, vm, body):
        if vm["owner"] is None and vm["clean"] and vm["epoch"] == \
                body["epoch"] and vm["digest"] == body["digest"]:
            return 204, None
        self.owned(vm, body)
        vm.update(owner=None, clean=True, confirmed=True,
                  digest=body["digest"])
        return 204, None

    def check(self, vm, body):
        self.fresh(vm, body)
        return 204, None

    def renew(self, v):
        vm = self.vms.get(v["vm"])
        if vm is None or vm["epoch"] is None:
            return {"vm": v["vm"], "state": "unknown", "reason": "not here"}
        if vm["owner"] is None or vm["owner"][0] != v["instance"] or \
                vm["epoch"] != v["epoch"]:
            return {"vm": v["vm"], "state": "lost", "reason":
                    f"epoch {vm['epoch']} is another's"}
        vm["owner"] = (v["instance"], time.time() + self.lease)
        return {"vm": v["vm"], "state": "kept", "reason": ""}

    # -- what an administrator does -------------------------------------------
    def fence(self, vm):
        """And another host has it at once."""
        self.vms[vm].update(epoch=self.vms[vm]["epoch"] + 1, clean=False,
                            confirmed=True,
                            owner=("00" * 16, time.time() + 3600))


def ssl_pem(der):
    text = base64.b64encode(der).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return ("-----BEGIN PUBLIC KEY-----\n" + "\n".join(lines) +
            "\n-----END PUBLIC KEY-----\n").encode()
