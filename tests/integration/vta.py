# SPDX-License-Identifier: BSD-3-Clause
"""A whole trust authority for tests: what vtactl init makes, its services, and
hosts with a software TPM that has a recorded boot behind it and vta-kmxa on
top."""
import atexit
import json
import os
import pwd
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hosttpm  # noqa: E402
import kms  # noqa: E402

BUILD = hosttpm.BUILD
TIMEOUT = 60
CLEAN = {k: v for k, v in os.environ.items() if k != "VTACTL_CONFIG"}


def program(name):
    return os.path.join(BUILD, name)


class Service:
    """A program that says when it listens."""
    all = []

    def __init__(self, name, config, log, ready):
        self.name, self.config, self.log = name, config, log
        self.ready, self.p = ready, None
        self.env, self.user = {}, None
        Service.all.append(self)

    def start(self):
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as out:
            self.p = subprocess.Popen(
                [program(self.name), "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**CLEAN, **self.env},
                preexec_fn=self._as_systemd if self.user else None)
        end = time.monotonic() + TIMEOUT
        while not re.search(self.ready, self.logged(at)):
            if self.p.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name}: " + self.logged(at))
            time.sleep(0.02)

    def _as_systemd(self):
        """User and LimitMEMLOCK of the units, as far as it goes here."""
        most = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (most, most))
        user = pwd.getpwnam(self.user)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    def logged(self, at=0):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            f.seek(at)
            return f.read()

    def stop(self):
        if self.p is None:
            return 0
        self.p.terminate()
        try:
            status = self.p.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.p.kill()
            status = self.p.wait()
        self.p = None
        return status


@atexit.register
def stop_all():
    for s in Service.all:
        s.stop()
    hosttpm.stop_all()


class Authority:
    def __init__(self, place, name="lab", more=()):
        self.place = place
        self.dir = os.path.join(place, "etc")
        self.state = os.path.join(place, "state")
        self.ports = kms.free_port(), kms.free_port()
        user = ["--user", "root"] if os.geteuid() == 0 else []
        code, self.made, err = self.run(
            "init", "--dir", self.dir, "--state-dir", self.state, "--name",
            name, "--address", "localhost", "--attestd-port",
            self.ports[0], "--kmxd-port", self.ports[1], *user, *more)
        if code:
            raise RuntimeError(f"vtactl init: {err}")
        self.config = os.path.join(self.dir, "vtactl.conf")
        self.attestd = self.service("attestd")
        self.kmxd = self.service("kmxd")

    def service(self, name):
        return Service("vta-" + name, f"{self.dir}/vta-{name}.conf",
                       f"{self.place}/{name}.log", "listens on")

    @staticmethod
    def run(*words, config=None, as_json=True, data=b"", env=None):
        """(exit status, output, error): parsed where they are JSON."""
        r = subprocess.run(
            [program("vtactl"), *(["--json"] if as_json else []),
             *(["--config", config] if config else []), *map(str, words)],
            input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=3 * TIMEOUT, check=False, env={**CLEAN, **(env or {})})
        out, err = r.stdout.decode(), r.stderr.decode()
        if as_json:
            try:
                out = json.loads(out)
            except ValueError:
                pass
            try:
                err = json.loads(err)["error"]
            except ValueError:
                pass
        return r.returncode, out, err

    def ctl(self, *words, **options):
        options.setdefault("config", self.config)
        return self.run(*words, **options)

    def must(self, *words, **options):
        code, out, err = self.ctl(*words, **options)
        if code:
            raise RuntimeError(f"vtactl {' '.join(map(str, words))}: {err}")
        return out


class Host:
    """A host: its TPM, its logs, its agent."""

    def __init__(self, authority, name, boot="crb-chain", certificates=True,
                 more=""):
        self.name, self.authority = name, authority
        self.tpm = hosttpm.Host(authority.place, name, certificates)
        self.dir = self.tpm.dir
        self.event_log = self.write("eventlog",
                                    hosttpm.golden(boot, "eventlog"))
        self.ima_log = self.write("ima", hosttpm.golden(boot, "ima"))
        self.boot()
        self.socket = os.path.join(self.dir, "agent.sock")
        with open(f"{authority.dir}/hosts/vta-kmxa.conf",
                  encoding="utf-8") as f:
            text = f.read().replace("/etc/vta/ca.pem",
                                    f"{authority.dir}/hosts/ca.pem")
        self.config = self.write("vta-kmxa.conf", (
            f"{text}\n[agent]\nname = {name}\nsocket = {self.socket}\n"
            f"state_directory = {self.dir}/agent\n"
            f"[tpm]\nhelper = {hosttpm.HELPER}\ntcti = {self.tpm.tcti()}\n"
            f"event_log = {self.event_log}\nima_log = {self.ima_log}\n"
            f"[server]\naddress = 127.0.0.1\nport = 0\n{more}").encode())
        os.makedirs(self.dir + "/agent", mode=0o700, exist_ok=True)
        self.agent = Service("vta-kmxa", self.config, self.dir + "/agent.log",
                             "listens on|ready")

    def write(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def boot(self):
        """What the recorded boot did to the PCRs."""
        with open(self.event_log, "rb") as f:
            self.tpm.send(hosttpm.event_extends(f.read()))
        with open(self.ima_log, "rb") as f:
            self.tpm.send(hosttpm.ima_extends(f.read()))

    def run_file(self, path, digest):
        """The kernel measures a file of this name and SHA-256."""
        entry = hosttpm.ima_entry(path, digest)
        with open(self.ima_log, "ab") as f:
            f.write(entry)
        self.tpm.send(hosttpm.ima_extends(entry))

    def export(self):
        code, out, err = Authority.run("host", "export", "--agent",
                                       self.socket, "--out",
                                       self.dir + "/export.json")
        if code:
            raise RuntimeError(f"vtactl host export: {err}")
        return self.dir + "/export.json"

    def vtpmctl(self, *words, data=b""):
        r = subprocess.run([program("vtpmctl"), *map(str, words)], input=data,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=TIMEOUT, check=False, env={
                               **CLEAN, "VTPMD_STATE_DIR": self.dir + "/vtpm"})
        return r.returncode, r.stdout.decode(), r.stderr.decode()
