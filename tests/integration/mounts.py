# SPDX-License-Identifier: BSD-3-Clause
"""File systems of a test's own: in a mount namespace that goes with the test,
so that nothing is left mounted however it ends."""
import atexit
import ctypes
import os
import subprocess
import sys

import wire

sys.path.insert(0, os.path.join(wire.SRC, "tests", "fault"))
import fault_dir  # noqa: E402

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result != 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e), what)


def private():
    """From here on, mounts of this process and its children are their own. Who
    is not root becomes able to mount in a user namespace."""
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)),
            "unshare")
    if uid:
        for file, text in (("setgroups", "deny"),
                           ("uid_map", f"{uid} {uid} 1"),
                           ("gid_map", f"{gid} {gid} 1")):
            with open("/proc/self/" + file, "w") as f:
                f.write(text)
    checked(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None),
            "mount --make-rprivate /")


def unmount(path, flags=MNT_DETACH):
    return libc.umount2(path.encode(), flags)


def tmpfs(place, name, options):
    path = place.path(name)
    os.mkdir(path)
    checked(libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0,
                       options.encode()), "mount tmpfs")
    atexit.register(unmount, path)
    return path


class Disk:
    """An ext4 on a loop device, which needs root."""

    def __init__(self, place, name, size, *options):
        self.image = place.path(name + ".img")
        self.path = place.path(name)
        os.mkdir(self.path)
        with open(self.image, "wb") as f:
            f.truncate(size)
        self.run("mkfs.ext4", "-q", "-m", "0", *options, self.image)
        self.mount()
        atexit.register(unmount, self.path)

    @staticmethod
    def run(*command):
        p = subprocess.run(command, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=60,
                           env=dict(os.environ, PATH=os.environ["PATH"] +
                                    ":/usr/sbin:/sbin"))
        if p.returncode:
            raise RuntimeError(f"{command}: {p.stdout}")
        return p.stdout

    def mount(self):
        # The loop device goes with the mount.
        self.run("mount", "-o", "loop,errors=remount-ro", self.image,
                 self.path)

    def device(self):
        return self.run("findmnt", "-n", "-o", "SOURCE", self.path).strip()

    def repair(self):
        """What an administrator does after the disk failed."""
        self.run("umount", self.path)
        # e2fsck: 1 is "errors corrected".
        subprocess.run(["/sbin/e2fsck", "-f", "-y", self.image],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
        self.mount()


class FaultDir:
    """tests/fault/fault_dir.py on a directory with one file in it."""

    def __init__(self, place, file):
        self.backing = place.path("backing")
        self.path = place.path("away")
        os.mkdir(self.backing)
        os.mkdir(self.path)
        self.file = os.path.join(self.path, os.path.basename(file))
        os.rename(file, os.path.join(self.backing, os.path.basename(file)))
        # Mounted here: who is not root loses the right to it by execve.
        fuse = fault_dir.mount(self.path)
        self.p = subprocess.Popen(
            [sys.executable, fault_dir.__file__, f"fd={fuse}", self.backing],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            pass_fds=[fuse])
        os.close(fuse)
        atexit.register(self.close)
        if self.p.stdout.readline() != "ready\n":
            raise RuntimeError("fault_dir.py does not start")

    def tell(self, command):
        self.p.stdin.write(command + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise RuntimeError(f"fault_dir.py {command}: {answer}")
        return answer

    def calls(self):
        return self.tell("calls")[len("calls "):]

    def close(self):
        self.p.stdin.close()
        self.p.wait(wire.TIMEOUT)
        unmount(self.path)
