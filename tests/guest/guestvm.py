# SPDX-License-Identifier: BSD-3-Clause
"""A real guest that works its TPM by tests/tools/tpm-load and moves between
QEMUs: OVMF with Secure Boot and SMM, Debian's kernel, the initramfs of
image.sh. Each QEMU has a vtpmd of its own."""
import atexit
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."),
                                "tests", "integration"))
import qemu  # noqa: E402
import wire  # noqa: E402

HERE = os.path.join(wire.SRC, "tests", "guest")
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
# On an idle machine a boot takes 10 s; on a busy one it takes ten times that.
PATIENCE = 240
MAGIC = b"VTPMBLOB"
MEMORY = 256 << 20

SCRIPT = """
exec 2>&1
TSS2_LOG=all+none tpm-load device:/dev/tpm0 /dev/vport0p2
echo "load-exit=$?"
"""


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            skip(f"{name} is not installed")
    for file in (FIRMWARE, VARIABLES):
        if not os.path.exists(file):
            skip(f"there is no {file}")


class Image:
    """Kernel and an initramfs with the load in it."""

    def __init__(self, place):
        done = subprocess.run(
            ["bash", "-c", '. "$1/guest.sh"; GUEST_BUILD=$2; guest_init "$3"'
             ' >&2 && image_extend "$3" "$2/tests/tools/tpm-load" >&2 && '
             'echo "$GUEST_KERNEL $GUEST_INITRAMFS $GUEST_CMDLINE"', "bash",
             HERE, wire.BUILD, place.dir], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=PATIENCE)
        if done.returncode:
            skip("the guest's image cannot be made: " +
                 done.stderr.strip().replace("\n", "; ")[-200:])
        self.kernel, self.initramfs, self.line = done.stdout.strip().split(
            " ", 2)
        self.script = place.path("script")
        with open(self.script, "w") as f:
            f.write(SCRIPT)


class Machine(qemu.Qemu):
    """One QEMU that has, or gets, the guest. The guest's memory is a file
    without a name, open in QEMU alone, which migrate() copies."""
    machine = ("-machine", "q35,smm=on,memory-backend=memory", "-cpu", "max",
               "-m", str(MEMORY >> 20),
               "-global", "driver=cfi.pflash01,property=secure,value=on")
    started = 0

    def __init__(self, place, image, d, *options, **popen):
        Machine.started += 1
        self.d = d
        name = f"machine{Machine.started}"
        self.results, self.orders = (place.path(f"{name}.{x}")
                                     for x in ("results", "orders"))
        self.console = place.path(name + ".console")
        variables = place.path(name + ".vars")
        shutil.copy(VARIABLES, variables)
        for way in (".in", ".out"):
            os.mkfifo(self.orders + way)
        self.memory = os.memfd_create(name)
        os.truncate(self.memory, MEMORY)
        super().__init__(
            place, d.ctrl, name + ".qmp",
            "-object", f"memory-backend-file,id=memory,size={MEMORY},share=on,"
            f"mem-path=/proc/self/fd/{self.memory}",
            "-drive", f"if=pflash,unit=0,format=raw,readonly=on,"
            f"file={FIRMWARE}",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables}",
            "-serial", f"file:{self.console}",
            "-device", "virtio-serial-pci",
            "-chardev", f"file,id=results,path={self.results}",
            "-device", "virtserialport,chardev=results,name=results",
            "-chardev", f"pipe,id=orders,path={self.orders}",
            "-device", "virtserialport,chardev=orders,name=orders",
            "-fw_cfg", f"name=opt/vtpmd/script,file={image.script}",
            "-kernel", image.kernel, "-initrd", image.initramfs,
            "-append", image.line, *options, pass_fds=[self.memory], **popen)
        os.close(self.memory)
        atexit.register(self.end)

    def end(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGKILL)
            self.p.wait(wire.TIMEOUT)

    def told(self):
        with open(self.results, errors="replace") as f:
            return f.read()

    def rounds(self):
        """The last that the guest has done here; 0 before the first."""
        found = re.findall(r"^round=(\d+)$", self.told(), re.M)
        return int(found[-1]) if found else 0

    def works(self, rounds=2, seconds=PATIENCE):
        """So many rounds more are done here."""
        want = self.rounds() + rounds
        end = time.monotonic() + seconds
        while self.rounds() < want:
            if time.monotonic() > end or self.p.poll() is not None or \
                    self.failures():
                return False
            time.sleep(0.05)
        return True

    def failures(self):
        """What the load complains of, or how it ended; then also what the
        guest's kernel says of that: a crash is not the TPM's answer."""
        found = re.findall(r"^(?:# .*|failed.*|Seg.*|load-exit=[1-9].*)$",
                           self.told(), re.M)
        if found:
            with open(self.console, errors="replace") as f:
                found += re.findall(r"^.*(?:traps:|segfault|BUG:).*$",
                                    f.read(), re.M)
        return found

    def migrate(self, target, uri, via=None):
        """Live migration to a QEMU with "-incoming defer", which listens at
        "uri"; "via" is the address of a relay before it. Returns what the
        source's QEMU says in the end.

        The guest's memory goes beside the stream. Under TCG, QEMU before 9.0
        loses writes of a guest that runs while its memory is copied: syncing
        the dirty bitmap leaves the TLB as it is (mended by QEMU's 03bfc2188f,
        "physmem: Fix migration dirty bitmap coherency with TCG memory access",
        whose author has seen more such races). On a busy machine the guest's
        programs then crash. So QEMU leaves that memory out, stops the VM when
        it likes, as ever, and waits until it has been copied."""
        self.allow("x-ignore-shared", "pause-before-switchover")
        target.allow("x-ignore-shared")
        target.run("migrate-incoming", uri=uri)
        self.run("migrate", uri=via or uri)
        got = self.wait("query-migrate", "pre-switchover", PATIENCE)
        if got == "pre-switchover":
            self.copy_memory(target)
            self.run("migrate-continue", state=got)
            got = self.wait("query-migrate", "completed", PATIENCE)
            target.wait("query-migrate", "completed")
            # Snapshots are to have it.
            target.allow()
        return got

    def migrate_whole(self, target, uri, via=None):
        """The same with the memory in the stream; the VM is stopped before."""
        self.run("stop")
        target.run("migrate-incoming", uri=uri)
        self.run("migrate", uri=via or uri)
        got = self.wait("query-migrate", "completed", PATIENCE)
        target.wait("query-status", "paused")
        target.run("cont")
        return got

    def allow(self, *names):
        self.run("migrate-set-capabilities", capabilities=[
            {"capability": name, "state": name in names}
            for name in ("x-ignore-shared", "pause-before-switchover")])

    def copy_memory(self, target):
        ours, theirs = (os.open(f"/proc/{q.p.pid}/fd/{q.memory}", os.O_RDWR)
                        for q in (self, target))
        size = 1 << 20
        for at in range(0, MEMORY, size):
            piece = os.pread(ours, size, at)
            if piece != os.pread(theirs, size, at):
                os.pwrite(theirs, piece, at)
        os.close(ours)
        os.close(theirs)

    def finish(self):
        """The load ends, the guest powers off: QEMU's exit status."""
        with open(self.orders + ".in", "wb", buffering=0) as f:
            f.write(b"e")
        try:
            return self.p.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.end()
            return None

    def account(self):
        return dict(re.findall(r"^([a-z-]+)=(\S+)$", self.told(), re.M))


class Relay(threading.Thread):
    """Between a source and its target: keeps what passes, and cuts where it is
    told: after the given number of bytes behind the nth of MAGIC (with n = 0
    behind the beginning), or "end": all but the last bytes of the stream,
    which are let through only when cut is None."""
    HELD = 256

    def __init__(self, listener, connect, keep, cut=None, do_cut=None):
        super().__init__(daemon=True)
        self.listener, self.connect = listener, connect
        self.keep, self.cut, self.do_cut = keep, cut, do_cut
        self.was_cut = threading.Event()
        self.stop = threading.Event()

    def run(self):
        source, _ = self.listener.accept()
        target = self.connect()
        with source, target, open(self.keep, "wb") as f:
            self.forward(source, target, f)
            self.stop.wait(PATIENCE)

    def find(self, tail, passed):
        """Where in the stream the cut is, when that is known already."""
        if self.cut in (None, "end"):
            return None
        marks, more = self.cut
        if marks == 0:
            return more
        at = [m.start() for m in re.finditer(MAGIC, tail)]
        return passed - len(tail) + at[marks - 1] + more \
            if len(at) >= marks else None

    @staticmethod
    def unsent(s):
        """Bytes that the other side has not acknowledged (tcp(7))."""
        return struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ,
                                              bytes(4)))[0]

    def forward(self, source, target, f):
        # Bytes that came, of which "sent" went on; the newest are held back,
        # that a mark is seen whole before any of it is sent.
        tail, passed, sent = b"", 0, 0
        while True:
            data = source.recv(1 << 16)
            f.write(data)
            passed += len(data)
            tail = tail + data
            where = self.find(tail, passed)
            upto = passed if not data and self.cut != "end" else \
                passed - self.HELD
            if where is not None:
                upto = min(upto, where)
            if upto > sent:
                target.sendall(tail[len(tail) - (passed - sent):
                                    len(tail) - (passed - upto)])
                sent = upto
            if where is not None and sent >= where or \
                    self.cut == "end" and not data:
                f.flush()
                # What is to come through has come through.
                end = time.monotonic() + PATIENCE
                while self.unsent(target) and time.monotonic() < end:
                    time.sleep(0.01)
                self.do_cut()
                self.was_cut.set()
                # What the source has handed to its own system, it takes for
                # sent; a lot more than that gets stuck.
                while data and self.cut[0] != 0:
                    data = source.recv(1 << 16)
                return
            if not data:
                f.flush()
                target.shutdown(socket.SHUT_WR)
                return
            # The second mark needs the first in sight: both are within some
            # hundreds of kB. What was not sent stays, too.
            if len(tail) > 1 << 20:
                tail = tail[-(1 << 19):]
