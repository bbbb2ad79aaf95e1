# SPDX-License-Identifier: BSD-3-Clause
"""vta-kmxa with a software TPM as its host's."""
import atexit
import os
import re
import signal
import subprocess
import time

import agentsock
import hosttpm

KMXA = os.environ.get("KMXA") or os.path.join(hosttpm.BUILD, "vta-kmxa")
TIMEOUT = 30


class Kmxa:
    """The daemon; files lie in host.dir."""
    all = []

    def __init__(self, host, certs, attestd, kmxd, start=True, ca="ca",
                 env=None, **keys):
        """keys: section_key=value, as keys_keep="yes"."""
        Kmxa.all.append(self)
        self.host, self.p, self.env = host, None, env
        self.state = host.path("kmxa")
        self.socket = host.path("agent.sock")
        self.config = host.path("kmxa.conf")
        self.log = host.path("kmxa.log")
        self.settings = {
            "agent": {"name": "host-1", "state_directory": self.state,
                      "socket": self.socket},
            "authority": {"ca": certs.path(ca + ".pem"), "attestd": attestd,
                          "kmxd": kmxd, "timeout": "2", "retry": "1"},
            "tpm": {"helper": hosttpm.HELPER, "tcti": host.tcti(),
                    "event_log": "none", "ima_log": "none"},
            "keys": {}, "access": {},
            "server": {"address": "127.0.0.1", "port": "0"},
            "log": {"level": "debug"}}
        for name, value in keys.items():
            section, _, key = name.partition("_")
            self.set(section, key, value)
        atexit.register(self.kill)
        if start:
            self.start()

    def set(self, section, key, value):
        self.settings[section][key] = value

    def write(self):
        with open(self.config, "w", encoding="ascii") as f:
            for section, keys in self.settings.items():
                f.write(f"[{section}]\n")
                f.writelines(f"{k} = {v}\n" for k, v in keys.items()
                             if v is not None)

    def run(self, *arguments):
        """(exit status, output) of one that is to end by itself."""
        self.write()
        r = subprocess.run([KMXA, "--config", self.config, *arguments],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=TIMEOUT, check=False)
        return r.returncode, r.stdout.decode()

    def start(self, state=None):
        """Until it listens; and, with state, is in that state."""
        self.write()
        since = len(self.logged())
        with open(self.log, "ab") as log:
            self.p = subprocess.Popen([KMXA, "--config", self.config],
                                      stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, env=self.env)
        self.ready = self.wait_log(r"listens on \S+ and on (\S+) port (\d+)",
                                   since)
        self.port = int(self.ready.group(2))
        if state:
            self.wait_state(state)
        return self

    def logged(self, since=0):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()[since:]
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, since=0, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.logged(since))
            if found:
                return found
            if time.monotonic() > end or self.p.poll() is not None:
                raise RuntimeError(f"no {pattern!r} in the log:\n" +
                                   self.logged(since))
            time.sleep(0.02)

    def mark(self):
        return len(self.logged())

    def client(self, timeout=TIMEOUT):
        return agentsock.Agent(self.socket, timeout)

    def status(self):
        a = self.client()
        try:
            return a.status()
        finally:
            a.close()

    def wait_state(self, state, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while True:
            now = self.status()
            if now["state"] == state:
                return now
            if time.monotonic() > end:
                raise RuntimeError(f"still {now}, not {state}\n" +
                                   self.logged())
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        if self.p is None:
            return None
        self.p.send_signal(number)
        code = self.p.wait(TIMEOUT)
        self.p = None
        return code

    def kill(self):
        if self.p is not None:
            self.p.kill()
            self.p.wait()
        self.p = None


def done(tap):
    for k in Kmxa.all:
        k.kill()
        log = k.logged()
        found = [line for line in log.splitlines()
                 if "Sanitizer" in line or "runtime error:" in line]
        if found:
            at = log.index(found[0])
            tap.ok(False, "no finding of a sanitizer", log[at:at + 4000])
    tap.done()


def wait_for(what, seconds=TIMEOUT):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
