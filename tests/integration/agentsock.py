# SPDX-License-Identifier: BSD-3-Clause
"""A client of the agent's socket, written from doc/authority-protocols.md and
not from the agent's source, so that the two can disagree."""
import collections
import json
import os
import socket
import struct

(HELLO, VM_CREATE, KEY_MAKE, KEY_OPEN, REGISTER, ACQUIRE, CONFIRM, RELEASE,
 CHECK, ATTACH, VM_FORGET, EK_CERTIFY, STATUS, ATTEST, HOST_EXPORT) = range(
     1, 16)
FAULTS = ("none", "host", "policy", "token", "grant", "epoch", "kms",
          "authority", "agent")
(REFUSED, CLOSED, USAGE, NOTFOUND, EXISTS, BUSY, STALE, KEY) = (
    -16, -15, -10, -9, -8, -7, -6, -5)
TIMEOUT = 30

Lost = collections.namedtuple("Lost", "vm epoch fault text")


class Error(Exception):
    def __init__(self, code, fault, text):
        super().__init__(f"{code} {fault}: {text}")
        self.code, self.fault, self.text = code, fault, text


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


class Fields:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        out = self.data[self.at:self.at + size]
        assert len(out) == size, "the answer is cut short"
        self.at += size
        return out

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def bytes(self):
        return self.take(self.number(2))

    def text(self):
        return self.bytes().decode()

    def list(self):
        return [self.bytes() for _ in range(self.number(1))]

    def end(self):
        assert self.at == len(self.data), "the answer has more"


class Agent:
    def __init__(self, path, timeout=TIMEOUT):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.settimeout(timeout)
        self.s.connect(path)
        self.id = 0
        self.notices = []
        self.waiting = {}

    def close(self):
        self.s.close()

    def send(self, kind, fields=b""):
        self.id += 1
        self.s.send(struct.pack(">HHI", kind, 0, self.id) + fields)
        return self.id

    def receive(self):
        """One message: a notice (kept), or (id, kind, result, fields)."""
        data = self.s.recv(65536)
        if not data:
            raise EOFError("the agent closed the connection")
        kind, zero, ident = struct.unpack(">HHI", data[:8])
        assert zero == 0
        if kind & 0x4000:
            assert kind == 0x4001 and ident == 0
            f = Fields(data[8:])
            self.notices.append(Lost(f.take(16), f.number(8),
                                     FAULTS[f.number(1)], f.text()))
            f.end()
            return None
        assert kind & 0x8000
        result = struct.unpack(">i", data[8:12])[0]
        return ident, kind & 0x7fff, result, Fields(data[12:])

    def answer(self, ident):
        while ident not in self.waiting:
            got = self.receive()
            if got is not None:
                self.waiting[got[0]] = got
        _, _, result, f = self.waiting.pop(ident)
        if result != 0:
            fault = f.number(1)
            message = f.text()
            f.end()
            raise Error(result, FAULTS[fault], message)
        return f

    def ask(self, kind, fields=b""):
        return self.answer(self.send(kind, fields))

    def notice(self, seconds):
        """The next notice, or None."""
        if not self.notices:
            self.s.settimeout(seconds)
            try:
                while not self.notices:
                    got = self.receive()
                    if got is not None:
                        self.waiting[got[0]] = got
            except socket.timeout:
                return None
            finally:
                self.s.settimeout(TIMEOUT)
        return self.notices.pop(0)

    # -- one method for each request ------------------------------------------
    def hello(self, version=1):
        f = self.ask(HELLO, struct.pack(">H", version))
        out = f.number(2), f.text(), f.text()
        f.end()
        return out

    def create(self, vm, name="vm", group=""):
        self.ask(VM_CREATE, vm + text(name) + text(group)).end()

    def make(self, vm, new_kek=False):
        f = self.ask(KEY_MAKE, vm + bytes([new_kek]))
        out = f.bytes(), f.take(32), f.text()
        f.end()
        return out

    def open(self, vm, wrapped):
        f = self.ask(KEY_OPEN, vm + text(wrapped))
        out = f.take(32)
        f.end()
        return out

    def register(self, vm, epoch, digest, synced=True):
        self.ask(REGISTER, vm + struct.pack(">Q", epoch) + digest +
                 bytes([synced])).end()

    def acquire(self, vm, epoch, digest, instance):
        f = self.ask(ACQUIRE, vm + struct.pack(">Q", epoch) + digest +
                     instance)
        out = f.number(8), f.number(1), f.number(4)
        f.end()
        return out

    def confirm(self, vm, epoch, instance):
        self.ask(CONFIRM, vm + struct.pack(">Q", epoch) + instance).end()

    def release(self, vm, epoch, instance, digest, synced=True):
        self.ask(RELEASE, vm + struct.pack(">Q", epoch) + instance + digest +
                 bytes([synced])).end()

    def check(self, vm, epoch, digest):
        self.ask(CHECK, vm + struct.pack(">Q", epoch) + digest).end()

    def attach(self, vm, epoch, instance):
        f = self.ask(ATTACH, vm + struct.pack(">Q", epoch) + instance)
        fault = f.number(1)
        why = f.text() if fault else ""
        f.end()
        return FAULTS[fault], why

    def forget(self, vm):
        self.ask(VM_FORGET, vm).end()

    def certify(self, vm, *eks):
        f = self.ask(EK_CERTIFY, vm + bytes([len(eks)]) +
                     b"".join(map(text, eks)))
        out = f.list(), f.list()
        f.end()
        return out

    def json(self, kind):
        f = self.ask(kind)
        out = json.loads(f.text())
        f.end()
        return out

    def status(self):
        return self.json(STATUS)

    def attest(self):
        return self.json(ATTEST)

    def export(self):
        return self.json(HOST_EXPORT)


def refusal(call, *arguments):
    """The Error that a call ends with; None where it works."""
    try:
        call(*arguments)
    except Error as e:
        return e
    return None


def as_user(uid, function):
    """What function() returns in a process of another user, as text."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(ours)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            try:
                out = str(function())
            except Error as e:
                out = f"Error {e}"
            os.write(theirs, out.encode())
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours, "rb") as f:
        out = f.read().decode()
    os.waitpid(pid, 0)
    return out
