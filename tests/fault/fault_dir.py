#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A directory whose files fail on demand:

    fault_dir.py MOUNTPOINT|fd=N DIRECTORY

Serves DIRECTORY (flat) at MOUNTPOINT by the kernel's FUSE protocol (linux/fuse.h,
7.31), so that a program under test meets the errors where it would: in its own
system calls. Needs the right to mount, as root has it or a user namespace gives
it; or N from a caller's mount().

Commands on standard input, one a line, each answered by one line:

    fail CALL ERRNO [TIMES]  CALL is read, write, sync, getattr, open or all;
                             without TIMES until told otherwise
    work                     nothing fails any more
    calls                    the writes and syncs since the last time it was
                             asked: w, s, and W, S for those that failed
    unlinked                 the files have no name any more
    power-cut                the files hold what a successful sync covered

A failed write writes nothing. What was written before a failed sync is not
covered by the next one, as in Linux's page cache; only what is written again is.
The mount ends with standard input."""
import ctypes
import errno
import os
import select
import stat
import struct
import sys

LOOKUP, FORGET, GETATTR, SETATTR = 1, 2, 3, 4
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC = 14, 15, 16, 17, 18, 20
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR = 25, 26, 27, 28, 29
ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 34, 36, 38, 42
NO_ANSWER = (FORGET, BATCH_FORGET, INTERRUPT)
BIG_WRITES = 1 << 5
CALLS = {GETATTR: "getattr", OPEN: "open", READ: "read", WRITE: "write",
         FSYNC: "sync", LOOKUP: "lookup", SETATTR: "setattr"}
ROOT = 1


class Fault(Exception):
    pass


class Files:
    """The files, by inode number: 2, 3, ..."""

    def __init__(self, directory):
        self.names = sorted(os.listdir(directory))
        self.fds = [os.open(os.path.join(directory, n), os.O_RDWR)
                    for n in self.names]
        # What is durable: of each file the bytes, and the ranges written
        # since its last sync.
        self.durable = [os.pread(fd, os.fstat(fd).st_size, 0)
                        for fd in self.fds]
        self.dirty = [[] for _ in self.fds]
        self.unlinked = False

    def find(self, name):
        if self.unlinked or name not in self.names:
            raise Fault(errno.ENOENT)
        return self.names.index(name) + 2

    def fd(self, node):
        return self.fds[node - 2]

    def sync(self, node, works):
        i = node - 2
        if works:
            image = bytearray(self.durable[i])
            for at, size in self.dirty[i]:
                image[at:at + size] = os.pread(self.fds[i], size, at)
            self.durable[i] = bytes(image)
        self.dirty[i] = []

    def power_cut(self):
        for fd, image, dirty in zip(self.fds, self.durable, self.dirty):
            os.pwrite(fd, image, 0)
            dirty.clear()

    def attr(self, node):
        if node == ROOT:
            return struct.pack("=QQQQQQIIIIIIIIII", ROOT, 0, 0, 0, 0, 0, 0,
                               0, 0, stat.S_IFDIR | 0o755, 2, 0, 0, 0, 4096,
                               0)
        s = os.fstat(self.fd(node))
        return struct.pack("=QQQQQQIIIIIIIIII", node, s.st_size, s.st_blocks,
                           int(s.st_atime), int(s.st_mtime), int(s.st_ctime),
                           0, 0, 0, s.st_mode, 0 if self.unlinked else 1,
                           s.st_uid, s.st_gid, 0, 4096, 0)


def mount(mountpoint):
    """The descriptor to serve it by."""
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = (f"fd={fuse},rootmode=40000,user_id={os.geteuid()},"
               f"group_id={os.getegid()},allow_other")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"fault-dir", mountpoint.encode(), b"fuse.fault-dir", 6,
                  options.encode()) != 0:     # MS_NOSUID | MS_NODEV
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e), "mount " + mountpoint)
    return fuse


class Server:
    def __init__(self, fuse, directory):
        self.files = Files(directory)
        self.faults = {}
        self.calls = ""
        self.fuse = fuse

    def check(self, call):
        for name in (call, "all"):
            number, times = self.faults.get(name, (0, 0))
            if times == 0:
                continue
            self.faults[name] = (number, times - 1)
            raise Fault(number)

    def serve(self, op, node, body):
        files = self.files
        if op == INIT:
            return struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, BIG_WRITES, 16,
                               12, 1 << 20, 1, 0, 0, 0)
        if op in CALLS and (op != GETATTR or node != ROOT):
            self.check(CALLS[op])
        if op == LOOKUP:
            found = files.find(body.rstrip(b"\0").decode())
            return struct.pack("=QQQQII", found, 0, 0, 0, 0,
                               0) + files.attr(found)
        if op in (GETATTR, SETATTR):
            return struct.pack("=QII", 0, 0, 0) + files.attr(node)
        if op in (OPEN, OPENDIR):
            return struct.pack("=QII", 0, 0, 0)
        if op == READ:
            _, at, size = struct.unpack_from("=QQI", body)
            return os.pread(files.fd(node), size, at)
        if op == WRITE:
            _, at, size = struct.unpack_from("=QQI", body)
            os.pwrite(files.fd(node), body[40:40 + size], at)
            files.dirty[node - 2].append((at, size))
            return struct.pack("=II", size, 0)
        if op == FSYNC:
            files.sync(node, True)
            return b""
        if op == STATFS:
            return struct.pack("=QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255,
                               4096, 0)
        if op in (RELEASE, RELEASEDIR, FLUSH, ACCESS, READDIR, DESTROY):
            return b""
        raise Fault(errno.ENOSYS)

    def request(self):
        try:
            message = os.read(self.fuse, (1 << 20) + 4096)
        except OSError as e:
            if e.errno in (errno.EINTR, errno.ENOENT):
                return
            raise
        _, op, unique, node = struct.unpack_from("=IIQQ", message)
        if op in NO_ANSWER:
            return
        letter = {WRITE: "w", FSYNC: "s"}.get(op, "")
        try:
            error, out = 0, self.serve(op, node, message[40:])
        except Fault as e:
            error, out = e.args[0], b""
            letter = letter.upper()
            if op == FSYNC:
                self.files.sync(node, False)
        self.calls += letter
        try:
            os.write(self.fuse, struct.pack("=IiQ", 16 + len(out), -error,
                                            unique) + out)
        except OSError as e:
            if e.errno != errno.ENOENT:     # it was interrupted
                raise

    def command(self, words):
        if words[:1] == ["fail"] and len(words) in (3, 4):
            times = int(words[3]) if len(words) == 4 else -1
            self.faults[words[1]] = (getattr(errno, words[2]), times)
        elif words == ["work"]:
            self.faults = {}
        elif words == ["calls"]:
            calls, self.calls = self.calls, ""
            return "calls " + calls
        elif words == ["unlinked"]:
            self.files.unlinked = True
        elif words == ["power-cut"]:
            self.files.power_cut()
        else:
            return "error: " + " ".join(words)
        return "done"

    def run(self):
        print("ready", flush=True)
        while True:
            for fd in select.select([self.fuse, 0], [], [])[0]:
                if fd == self.fuse:
                    self.request()
                    continue
                # One command, one answer: nothing is left in a buffer.
                line = os.read(0, 4096)
                if not line:
                    return
                print(self.command(line.decode().split()), flush=True)


if __name__ == "__main__":
    where = sys.argv[1]
    Server(int(where[3:]) if where.startswith("fd=") else mount(where),
           sys.argv[2]).run()
