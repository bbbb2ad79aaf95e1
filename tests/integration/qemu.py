# SPDX-License-Identifier: BSD-3-Clause
"""A QEMU with a TPM, and its QMP. Its firmware is SeaBIOS, which uses the TPM at
each start; there is no guest behind it."""
import json
import socket
import subprocess
import time

import wire


class Qemu:
    machine = ("-machine", "q35", "-m", "64")

    def __init__(self, place, ctrl, name, *options, **popen):
        path = place.path(name)
        self.events = []
        self.p = subprocess.Popen(
            ["qemu-system-x86_64", *self.machine, "-accel", "tcg",
             "-nodefaults", "-display", "none",
             "-qmp", f"unix:{path},server=on,wait=off",
             "-chardev", f"socket,id=c,path={ctrl}",
             "-tpmdev", "emulator,id=t,chardev=c",
             "-device", "tpm-crb,tpmdev=t", *options],
            stdin=subprocess.DEVNULL, **popen)
        end = time.monotonic() + wire.TIMEOUT
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(wire.TIMEOUT)
        while True:
            try:
                self.s.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.f = self.s.makefile("rw")
        self.f.readline()
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        self.f.write(json.dumps({"execute": command,
                                 "arguments": arguments}) + "\n")
        self.f.flush()
        while True:
            answer = json.loads(self.f.readline())
            if "event" not in answer:
                return answer.get("return", answer)
            self.events.append(answer["event"])

    def wait(self, command, status, seconds=wire.TIMEOUT):
        end = time.monotonic() + seconds
        got = None
        while got != status and time.monotonic() < end:
            got = self.run(command).get("status")
            time.sleep(0.05)
        return got

    def job(self, command, seconds=wire.TIMEOUT, **arguments):
        """Runs a job to its end; what it complains of, or None."""
        name = f"job{time.monotonic_ns()}"
        said = self.run(command, **{"job-id": name}, **arguments)
        if "error" in said:
            return said["error"]["desc"]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for one in self.run("query-jobs"):
                if one["id"] == name and one["status"] == "concluded":
                    self.run("job-dismiss", id=name)
                    return one.get("error")
            time.sleep(0.05)
        return "it does not end"

    def kill(self):
        self.p.kill()
        return self.p.wait(wire.TIMEOUT)

    def quit(self):
        self.run("quit")
        try:
            return self.p.wait(wire.TIMEOUT)
        except subprocess.TimeoutExpired:
            self.p.kill()
            return None
