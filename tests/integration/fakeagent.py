# SPDX-License-Identifier: BSD-3-Clause
"""A scripted vta-kmxa, trust authority and KMS in one, written from
doc/authority-protocols.md: "The agent's socket" and "Epochs". It keeps VMs,
keys and epochs in memory, and does wrong what a test tells it to (rules)."""
import atexit
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

TYPES = {1: "HELLO", 2: "VM_CREATE", 3: "KEY_MAKE", 4: "KEY_OPEN",
         5: "REGISTER", 6: "ACQUIRE", 7: "CONFIRM", 8: "RELEASE", 9: "CHECK",
         10: "ATTACH", 11: "VM_FORGET", 12: "EK_CERTIFY", 13: "STATUS",
         14: "ATTEST", 15: "HOST_EXPORT"}
FAULTS = {"none": 0, "host": 1, "policy": 2, "token": 3, "grant": 4,
          "epoch": 5, "kms": 6, "authority": 7, "agent": 8}
# base/err.h
STALE, BUSY, EXISTS, NOTFOUND, REFUSED, CLOSED = -6, -7, -8, -9, -16, -15


class Refusal(Exception):
    def __init__(self, code, fault, text):
        super().__init__(text)
        self.code, self.fault, self.text = code, fault, text


def blob(data):
    if isinstance(data, str):
        data = data.encode()
    return struct.pack(">H", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        if len(self.data) < n:
            raise ValueError("cut short")
        out, self.data = self.data[:n], self.data[n:]
        return out

    def number(self, fmt):
        return struct.unpack(">" + fmt, self.take(struct.calcsize(fmt)))[0]

    def bytes(self):
        return self.take(self.number("H"))


class Agent:
    """rules[TYPE] is what goes wrong with that request:
    ("refuse", code, fault, text), ("delay", s), "silent", "close", "wrong-id",
    "wrong-type", "garbage", "oversized", "flood", "answer-and-close"."""

    def __init__(self, place):
        self.dir = tempfile.mkdtemp(prefix="vtpmd-agent.")
        os.chmod(self.dir, 0o755)
        self.path = os.path.join(self.dir, "agent.sock")
        self.rules = {}
        self.asked = []		# (type, uuid as hex)
        self.peers = []		# (pid, uid) of each connection
        self.vms = {}		# uuid: dict
        self.accept_restore = set()
        self.kek = 0
        self.lock = threading.RLock()
        self.thread = None
        self.clients = {}
        self.ca = None
        self.place = place
        self.start()
        atexit.register(self.clean)

    # -- the socket ----------------------------------------------------------
    def start(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(64)
        self.wake, self.waker = socket.socketpair()
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        if self.thread is None:
            return
        self.ending = True
        self.waker.send(b"x")
        self.thread.join()
        self.thread = None
        for c in list(self.clients):
            c.close()
        self.clients = {}
        self.listener.close()
        self.wake.close()
        self.waker.close()
        os.unlink(self.path)

    def clean(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self):
        while not self.ending:
            ready = select.select([self.listener, self.wake,
                                   *self.clients], [], [])[0]
            for s in ready:
                if s is self.wake:
                    continue
                if s is self.listener:
                    c = s.accept()[0]
                    cred = c.getsockopt(socket.SOL_SOCKET,
                                        socket.SO_PEERCRED, 12)
                    self.peers.append(struct.unpack("iII", cred)[:2])
                    self.clients[c] = set()
                    continue
                try:
                    data = s.recv(65536)
                except OSError:
                    data = b""
                try:
                    if data and self.serve(s, data):
                        continue
                except OSError:
                    pass	# it has gone meanwhile
                self.drop(s)

    def drop(self, client):
        self.clients.pop(client, None)
        client.close()

    def serve(self, client, data):
        kind, zero, ident = struct.unpack(">HHI", data[:8])
        name = TYPES.get(kind)
        if zero or name is None:
            return False
        r = Reader(data[8:])
        with self.lock:
            self.asked.append((name, data[8:24].hex()))
            rule = self.rules.get(name)
        if rule == "silent":
            return True
        if rule == "close":
            return False
        if isinstance(rule, tuple) and rule[0] == "delay":
            time.sleep(rule[1])
        try:
            if isinstance(rule, tuple) and rule[0] == "refuse":
                raise Refusal(*rule[1:])
            with self.lock:
                body = getattr(self, name.lower())(client, r)
            if r.data:
                raise ValueError("too long")
            answer = struct.pack(">i", 0) + body
        except Refusal as e:
            answer = struct.pack(">iB", e.code, FAULTS[e.fault]) + blob(e.text)
        head = struct.pack(">HHI", kind | 0x8000, 0, ident)
        if rule == "wrong-id":
            head = struct.pack(">HHI", kind | 0x8000, 0, ident + 77)
        elif rule == "wrong-type":
            head = struct.pack(">HHI", 0x8001 if kind != 1 else 0x8002, 0,
                               ident)
        elif rule == "garbage":
            head, answer = os.urandom(8), os.urandom(40)
        elif rule == "oversized":
            answer += b"\0" * 40000
        elif rule == "flood":
            notice = struct.pack(">HHI", 0x4001, 0, 0) + bytes(16) + \
                struct.pack(">QB", 99, 5) + blob("noise")
            for _ in range(50):
                client.send(notice)
        client.send(head + answer)
        return rule != "answer-and-close"

    # -- what it knows ---------------------------------------------------------
    def vm(self, r):
        uuid = r.take(16).hex()
        if uuid not in self.vms:
            raise Refusal(NOTFOUND, "authority", "no such VM")
        return self.vms[uuid]

    def hello(self, client, r):
        if r.number("H") != 1:
            raise Refusal(-11, "agent", "version")
        return struct.pack(">H", 1) + blob("fake") + blob("attested")

    def vm_create(self, client, r):
        uuid, name, group = r.take(16).hex(), r.bytes(), r.bytes()
        if uuid in self.vms:
            raise Refusal(EXISTS, "authority", "this VM exists")
        self.vms[uuid] = {"uuid": uuid, "name": name.decode(),
                          "group": group.decode() or "default", "keys": {},
                          "kek": 1, "owner": None, "epoch": None,
                          "shred": False}
        return b""

    def key_make(self, client, r):
        vm, new = self.vm(r), r.number("B")
        vm["kek"] += new
        wrapped, key = b"W" * 40 + os.urandom(60), os.urandom(32)
        vm["keys"][wrapped] = key
        return blob(wrapped) + key + blob(
            f"authority fake, group {vm['group']}, KEK {vm['kek']}")

    def key_open(self, client, r):
        vm, wrapped = self.vm(r), r.bytes()
        if wrapped not in vm["keys"]:
            raise Refusal(REFUSED, "kms", "its KEK is destroyed")
        return vm["keys"][wrapped]

    def register(self, client, r):
        vm = self.vm(r)
        epoch, digest, synced = r.number("Q"), r.take(32), r.number("B")
        if vm["epoch"] is not None:
            raise Refusal(EXISTS, "epoch", "it has a record")
        vm.update(epoch=epoch, digest=digest, clean=True,
                  synced=bool(synced), confirmed=True, before=None)
        return b""

    def judge(self, vm, epoch, digest):
        if vm["epoch"] is None:
            raise Refusal(NOTFOUND, "epoch", "no record")
        if vm["uuid"] in self.accept_restore:
            return
        fresh = [(vm["epoch"], vm["digest"] if vm["clean"] else None)]
        if not vm["confirmed"]:
            fresh.append(vm["before"])
        if not any(epoch == e and d in (None, digest) for e, d in fresh):
            raise Refusal(STALE, "epoch",
                          f"the file is of epoch {epoch}, the VM's latest is "
                          f"{vm['epoch']}, or it is another copy")

    def acquire(self, client, r):
        vm = self.vm(r)
        epoch, digest, inst = r.number("Q"), r.take(32), r.take(16)
        if vm["owner"] == inst and \
                vm["uuid"] not in self.accept_restore:
            self.judge(vm, epoch, digest)
            return struct.pack(">QBI", vm["epoch"], vm["was_synced"], 60)
        if vm["owner"] not in (None, inst):
            raise Refusal(BUSY, "epoch", "owned by host elsewhere until later")
        self.judge(vm, epoch, digest)
        self.accept_restore.discard(vm["uuid"])
        vm["was_synced"] = vm["clean"] and vm["synced"]
        vm["before"] = (epoch, digest if vm["clean"] else None)
        vm.update(epoch=max(epoch, vm["epoch"]) + 1, clean=False, owner=inst,
                  confirmed=False)
        return struct.pack(">QBI", vm["epoch"], vm["was_synced"], 60)

    def owned(self, r):
        vm, epoch, inst = self.vm(r), r.number("Q"), r.take(16)
        if vm["owner"] != inst or vm["epoch"] != epoch:
            raise Refusal(STALE, "epoch", "this VM is another's now")
        return vm

    def confirm(self, client, r):
        self.owned(r).update(confirmed=True)
        return b""

    def release(self, client, r):
        vm = self.owned(r)
        vm.update(digest=r.take(32), synced=bool(r.number("B")), clean=True,
                  owner=None, confirmed=True)
        return b""

    def check(self, client, r):
        vm = self.vm(r)
        self.judge(vm, r.number("Q"), r.take(32))
        return b""

    def attach(self, client, r):
        vm, epoch, inst = self.vm(r), r.number("Q"), r.take(16)
        if vm["owner"] != inst or vm["epoch"] != epoch:
            return struct.pack(">B", 5) + blob("taken while you were away")
        self.clients[client].add(vm["uuid"])
        return b"\0"

    def vm_forget(self, client, r):
        vm = self.vm(r)
        if vm["owner"] is not None:
            raise Refusal(BUSY, "epoch", "it is owned")
        del self.vms[vm["uuid"]]
        return b""

    def make_ca(self):
        self.ca = os.path.join(self.dir, "ca")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                        "-subj", "/CN=fake authority", "-keyout",
                        self.ca + ".key", "-out", self.ca + ".pem"],
                       check=True, capture_output=True)

    def ek_certify(self, client, r):
        self.vm(r)
        if self.ca is None:
            self.make_ca()
        out = b""
        n = r.number("B")
        for _ in range(n):
            key = os.path.join(self.dir, "ek.pem")
            subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER",
                            "-out", key], input=r.bytes(), check=True)
            # An EK cannot sign a request: -force_pubkey puts it in.
            subprocess.run(["openssl", "req", "-new", "-key",
                            self.ca + ".key", "-subj", "/CN=x", "-out",
                            key + ".csr"], check=True)
            der = subprocess.run(
                ["openssl", "x509", "-req", "-in", key + ".csr",
                 "-force_pubkey", key, "-CA", self.ca + ".pem", "-CAkey",
                 self.ca + ".key", "-days", "30", "-outform", "DER",
                 "-set_serial", str(int.from_bytes(os.urandom(8), "big"))],
                check=True, capture_output=True).stdout
            out += blob(der)
        return struct.pack(">B", n) + out + b"\0"

    def status(self, client, r):
        return blob('{"host":"h1","group":"default","state":"attested",'
                    '"policy":"base"}')

    # -- what a test does ------------------------------------------------------
    def count(self, name):
        with self.lock:
            return sum(1 for n, _ in self.asked if n == name)

    def fence(self, uuid, tell=True):
        """Another owner takes the next epoch."""
        with self.lock:
            vm = self.vms[uuid]
            lost = vm["epoch"]
            vm.update(owner=b"elsewhere-------", epoch=lost + 1,
                      confirmed=True, clean=False)
            if tell:
                for c, vms in self.clients.items():
                    if uuid in vms:
                        c.send(struct.pack(">HHI", 0x4001, 0, 0) +
                               bytes.fromhex(uuid) +
                               struct.pack(">QB", lost, 5) +
                               blob("fenced by an administrator"))
