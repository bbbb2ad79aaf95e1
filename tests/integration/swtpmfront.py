# SPDX-License-Identifier: BSD-3-Clause
"""Our swtpm programs and the distribution's, called in the same way."""
import os
import shutil
import socket
import struct
import subprocess
import time

import wire

OURS = os.path.join(wire.BUILD, "qemu-glue")
THEIRS = "/usr/bin"
# vtpmctl and vtpmd are found in PATH.
ENV = dict(os.environ, PATH=wire.BUILD + ":" + os.environ["PATH"])

# TPM2_GetRandom(4), TPM2_PCR_Read(SHA-256, 16), Part 3.
GET_RANDOM = bytes.fromhex("80010000000c0000017b0004")
PCR_READ = bytes.fromhex("8001000000140000017e00000001000b03000001")
PCR_EXTEND = bytes.fromhex(
    "800200000041000001820000001000000009400000090000000000"
    "00000001000b") + bytes(range(32))


def environment():
    """ENV as it is when it is asked for: Place sets the state directory."""
    return dict(ENV, VTPMD_STATE_DIR=os.environ["VTPMD_STATE_DIR"])


def run(where, program, *args, cwd=None, fds=(), data=None):
    """(status, standard output, standard error)."""
    p = subprocess.run([os.path.join(where, program), *args], cwd=cwd,
                       env=environment(), pass_fds=fds, input=data,
                       stdin=None if data is not None else subprocess.DEVNULL,
                       capture_output=True, timeout=20)
    return (p.returncode, p.stdout.decode(errors="replace"),
            p.stderr.decode(errors="replace"))


def free_port():
    """A port with a free one behind it."""
    while True:
        with socket.socket() as a, socket.socket() as b:
            a.bind(("127.0.0.1", 0))
            port = a.getsockname()[1]
            try:
                b.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue


class Swtpm:
    """One that runs."""

    def __init__(self, where, place, name, *args, fds=(), cwd=None):
        self.dir = place.path(name)
        os.makedirs(self.dir, exist_ok=True)
        self.log = open(place.path(name + ".stderr"), "w+b")
        self.p = subprocess.Popen(
            [os.path.join(where, "swtpm"), "socket", "--tpm2", "--tpmstate",
             "dir=" + self.dir, *args], env=environment(), cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            pass_fds=fds)
        place.running.append(self)

    def said(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()

    def wait(self, seconds=wire.TIMEOUT):
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, sig=None):
        if self.p.poll() is None:
            self.p.terminate() if sig is None else self.p.send_signal(sig)
        status = self.wait()
        if not self.log.closed:
            self.log.close()
        return status


def connect(address):
    """To a Unix socket's path or a TCP port, as soon as it is there."""
    end = time.monotonic() + wire.TIMEOUT
    while True:
        s = socket.socket(socket.AF_UNIX if isinstance(address, str)
                          else socket.AF_INET)
        s.settimeout(wire.TIMEOUT)
        try:
            s.connect(address if isinstance(address, str)
                      else ("127.0.0.1", address))
            return s
        except OSError:
            s.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def read(s, n):
    out = b""
    while len(out) < n:
        more = s.recv(n - len(out))
        if not more:
            break
        out += more
    return out


def exchange(s, command):
    """The answer to a raw command."""
    s.sendall(command)
    head = read(s, 6)
    if len(head) < 6:
        return head
    return head + read(s, struct.unpack(">I", head[2:6])[0] - 6)


def wrapped(s, command, locality=0):
    """The same behind the simulator's header: answer, the word behind it."""
    s.sendall(struct.pack(">IBI", 8, locality, len(command)) + command)
    size = struct.unpack(">I", read(s, 4))[0]
    return read(s, size), read(s, 4)


def have_peer():
    return all(shutil.which(n, path=THEIRS) for n in
               ("swtpm", "swtpm_ioctl", "swtpm_setup"))
