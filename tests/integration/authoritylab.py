# SPDX-License-Identifier: BSD-3-Clause
"""A trust authority that is set up, for tests of what goes wrong then: KMS (the
real PyKMIP, with something between that spoils the connection), services, hosts
that attest to a captured policy, vtpmctl and vtpmd on them."""
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time

import kms
import vta
import wire

LINGER_RESET = struct.pack("ii", 1, 0)


def need(*programs):
    """What this cannot do without; or the test is skipped."""
    missing = [p for p in programs + ("swtpm", "swtpm_setup", "openssl",
                                      "pykmip-server")
               if not shutil.which(p)]
    if os.geteuid() != 0:
        missing.append("root, to whom alone an agent shows its host's keys,")
    if missing:
        print(f"1..0 # SKIP {missing[0]} is not there")
        sys.exit(0)


def until(call, seconds=30, pause=0.1):
    """What call() returned in the end: the first that is true."""
    end = time.monotonic() + seconds
    while True:
        got = call()
        if got or time.monotonic() > end:
            return got
        time.sleep(pause)


class Between:
    """Passes TCP on to a port; or, as `mode` says from then on: slow (each
    piece of an answer `delay` seconds late), silent (takes all, gives nothing),
    reset, gone (nobody listens)."""

    def __init__(self, port):
        self.to, self.mode, self.delay = port, "pass", 1.0
        self.port = kms.free_port()
        self.open = set()
        self.listener = None
        self._listen()

    def _listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,),
                         daemon=True).start()

    @property
    def node(self):
        return f"127.0.0.1:{self.port}"

    def set(self, mode, to=None):
        """Connections that are there feel it, too."""
        self.mode, self.to = mode, to or self.to
        for s in list(self.open):
            self._end(s, mode == "reset")
        if mode == "gone" and self.listener:
            # Wakes the thread in accept.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        elif mode != "gone" and not self.listener:
            self._listen()

    def _end(self, s, reset=False):
        self.open.discard(s)
        try:
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             LINGER_RESET)
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,),
                             daemon=True).start()

    def _serve(self, s):
        self.open.add(s)
        try:
            if self.mode == "reset":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             LINGER_RESET)
                return
            with socket.create_connection(("127.0.0.1", self.to), 5) as k:
                self.open.add(k)
                back = threading.Thread(target=self._pass, args=(k, s, True),
                                        daemon=True)
                back.start()
                self._pass(s, k, False)
                self._end(k)
                back.join()
        except OSError:
            pass
        finally:
            self.open.discard(s)
            s.close()

    def _pass(self, one, other, answers):
        try:
            while data := one.recv(65536):
                if self.mode == "slow" and answers:
                    time.sleep(self.delay)
                if self.mode != "silent":
                    other.sendall(data)
        except OSError:
            pass
        self._end(other)


class Host(vta.Host):
    """With a vtpmd.conf, and vtpmd as a test of its own starts it."""

    def __init__(self, lab, name, more=""):
        self.lab = lab
        super().__init__(lab.authority, name, more="[access]\n"
                         "all = root nobody\ncreate = root\n" + more)
        os.chmod(self.dir, 0o755)
        self.conf = self.write(
            "vtpmd.conf", f"[authority]\nsocket = {self.socket}\n".encode())
        # Of vtpmd's own user: wire.Place starts it as nobody.
        self.state = lab.vms.path("state-" + name)

    def ctl(self, *words):
        """vtpmctl: (exit status, what it said)."""
        command, *rest = words
        code, out, err = self.vtpmctl(command, "--config", self.conf, *rest)
        return code, out + err

    def vtpmctl(self, *words, data=b""):
        import subprocess
        r = subprocess.run(
            [vta.program("vtpmctl"), *map(str, words)], input=data,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
            check=False, env={**vta.CLEAN, "VTPMD_STATE_DIR": self.state})
        return r.returncode, r.stdout.decode(), r.stderr.decode()

    def vtpmd(self, file, wait=True):
        return self.lab.vms.start(
            file, "--config", self.conf, wait=wait,
            env={**os.environ, "VTPMD_STATE_DIR": self.state})

    def refused(self, file, seconds=60):
        """(exit status, log) of a vtpmd that is not to start."""
        d = self.vtpmd(file, wait=False)
        return d.wait_end(seconds), d.logged()


class Lab:
    """config: what is put behind {"kmxd": text, "attestd": text}; more: further
    options of vtactl init."""

    def __init__(self, hosts=("h1",), config=None, agents="", more=()):
        self.dir = tempfile.mkdtemp(prefix="vtpmd-lab.")
        import atexit
        atexit.register(self._clean)
        os.chmod(self.dir, 0o755)
        self.vms = wire.Place()
        os.chmod(self.vms.dir, 0o755)
        self.authority = a = vta.Authority(self.dir, more=more)
        for name in ("attestd", "kmxd"):
            with open(f"{a.dir}/vta-{name}.conf", "a",
                      encoding="utf-8") as f:
                f.write((config or {}).get(name, ""))
        a.attestd.start()
        a.kmxd.start()
        self.place = kms.Place()
        self.kms = kms.Pykmip(self.place)
        self.between = Between(self.kms.port)
        self.kms_files = ["--ca", self.place.path("ca.pem"), "--certificate",
                          self.place.path("client.pem"), "--key",
                          self.place.path("client.key")]
        self.must("kms", "add", "main", "--node", self.between.node,
                  "--default", *self.kms_files)
        self.must("group", "add", "prod", "--token-seconds", "300")
        self.hosts = [self.add_host(name, agents) for name in hosts]

    def _clean(self):
        if "KEEP" not in os.environ:
            vta.stop_all()
            shutil.rmtree(self.dir, True)

    def must(self, *words):
        return self.authority.must(*words)

    def add_host(self, name, more=""):
        """A host that attests; the first one's boot becomes the policy."""
        h = Host(self, name, more)
        h.agent.start()
        export = h.export()
        if not self.must("ek-ca", "list")["ek_cas"]:
            self.must("ek-ca", "import", self.dir + "/ca/issuercert.pem")
        self.must("host", "import", export, "--group", "prod")
        if not self.must("policy", "list")["policies"]:
            base = self.dir + "/base.json"
            self.must("policy", "capture", name, "base", "--out", base)
            self.must("policy", "import", base)
            self.must("policy", "approve", "prod", "base")
        self.must("host", "attest", name)
        return h

    def alarms(self):
        """What vtactl status shows as wrong: {alarm: (object, text)}."""
        _, out, _ = self.authority.ctl("status")
        return {x["alarm"]: (x.get("object", ""), x.get("text", ""))
                for x in out["alarms"]}

    def page(self):
        """vtactl status, as a person sees it."""
        code, out, err = self.authority.ctl("status", as_json=False)
        return code, out + err

    def create(self, host, name):
        """(exit status, what vtpmctl said, the file)."""
        file = self.vms.path(name)
        code, text = host.ctl("create", "--protector", "authority", "--name",
                              name, file)
        return code, text, file

    def sanitized(self, tap):
        for s in vta.Service.all:
            found = [x for x in s.logged().splitlines()
                     if "Sanitizer" in x or "runtime error:" in x]
            if found:
                tap.ok(False, f"a sanitizer complains: {s.name}", found)
