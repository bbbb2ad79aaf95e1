# SPDX-License-Identifier: BSD-3-Clause
"""vtpmd from outside: its control channel and TPM commands, byte by byte.

Written from qemu's backends/tpm/tpm_ioctl.h and the TPM 2.0 specification,
not from vtpmd's source, so that the two can disagree.
"""
import array
import atexit
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

(GET_CAPABILITY, INIT, SHUTDOWN, GET_TPMESTABLISHED, SET_LOCALITY, HASH_START,
 HASH_DATA, HASH_END, CANCEL_TPM_CMD, STORE_VOLATILE, RESET_TPMESTABLISHED,
 GET_STATEBLOB, SET_STATEBLOB, STOP, GET_CONFIG, SET_DATAFD, SET_BUFFERSIZE,
 GET_INFO, LOCK_STORAGE) = range(1, 20)

BAD_PARAMETER, BAD_ORDINAL, IOERROR = 0x03, 0x0a, 0x1f

SRC = os.environ.get("top_srcdir") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir") or os.path.join(SRC, "build")
VTPMD = os.environ.get("VTPMD") or os.path.join(BUILD, "vtpmd")
VTPMCTL = os.environ.get("VTPMCTL") or os.path.join(BUILD, "vtpmctl")

TIMEOUT = 20


class Tap:
    """Numbers and prints test points; the plan comes last."""

    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, what, why=""):
        self.count += 1
        if not good:
            self.failed += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {what}",
              flush=True)
        if not good and why:
            for line in str(why).splitlines():
                print(f"# {line}", flush=True)
        return good

    def same(self, got, want, what):
        return self.ok(got == want, what,
                       f"got  {got!r:.300}\nwant {want!r:.300}")

    def done(self):
        """The end; in a build with sanitizers, that they found nothing."""
        for d in Vtpmd.all:
            d.stop()
            found = [line for line in d.logged().splitlines()
                     if "Sanitizer" in line or "runtime error:" in line]
            if found:
                self.ok(False, "no finding of a sanitizer", d.logged())
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


class Ctrl:
    """A connection to the control socket."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(TIMEOUT)
        self.s.connect(path)

    def close(self):
        self.s.close()

    def read(self, n):
        out = b""
        while len(out) < n:
            part = self.s.recv(n - len(out))
            if not part:
                raise EOFError(f"{len(out)} of {n} bytes")
            out += part
        return out

    def ask(self, number, request=b"", answer=4):
        self.s.sendall(struct.pack(">I", number) + request)
        return self.read(answer)

    def result(self, number, request=b""):
        return struct.unpack(">I", self.ask(number, request))[0]

    def nothing_comes(self, seconds=0.3):
        self.s.settimeout(seconds)
        try:
            return self.s.recv(1) is None
        except socket.timeout:
            return True
        finally:
            self.s.settimeout(TIMEOUT)

    def datafd(self):
        """SET_DATAFD with one end of a pair; (result, our end)."""
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT)
        self.s.sendmsg([struct.pack(">I", SET_DATAFD)],
                       [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                         array.array("i", [theirs.fileno()]))])
        theirs.close()
        return struct.unpack(">I", self.read(4))[0], Data(ours)

    def buffersize(self, wanted):
        return struct.unpack(">IIII", self.ask(
            SET_BUFFERSIZE, struct.pack(">I", wanted), 16))

    def init(self, flags=0):
        return self.result(INIT, struct.pack(">I", flags))

    def get_blob(self, kind, offset=0, flags=1):
        res, out_flags, total, size = struct.unpack(">IIII", self.ask(
            GET_STATEBLOB, struct.pack(">III", flags, kind, offset), 16))
        return res, out_flags, total, self.read(size)

    def set_blob(self, kind, blob, flags=0):
        # As QEMU does: the head, then the bytes, then the result.
        self.s.sendall(struct.pack(">IIII", SET_STATEBLOB, flags, kind,
                                   len(blob)))
        self.s.sendall(blob)
        return struct.unpack(">I", self.read(4))[0]


class Data:
    """The data socket: TPM commands."""

    def __init__(self, sock):
        self.s = sock

    def close(self):
        self.s.close()

    def answer(self):
        head = b""
        while len(head) < 10:
            part = self.s.recv(10 - len(head))
            if not part:
                raise EOFError("the data socket is closed")
            head += part
        size = struct.unpack(">I", head[2:6])[0]
        body = b""
        while len(body) < size - 10:
            part = self.s.recv(size - 10 - len(body))
            if not part:
                raise EOFError("the data socket is closed")
            body += part
        return struct.unpack(">I", head[6:10])[0], body

    def raw(self, command):
        self.s.sendall(command)
        return self.answer()

    def run(self, code, body=b"", tag=0x8001):
        return self.raw(command(code, body, tag))

    def startup(self, kind=0):
        return self.run(0x144, struct.pack(">H", kind))[0]

    def shutdown(self, kind=0):
        return self.run(0x145, struct.pack(">H", kind))[0]

    def random(self, n=8):
        return self.run(0x17b, struct.pack(">H", n))

    def pcr_read(self, pcr, alg=0x000b):
        select = bytearray(3)
        select[pcr // 8] |= 1 << pcr % 8
        rc, body = self.run(0x17e, struct.pack(">IHB", 1, alg, 3) +
                            bytes(select))
        if rc:
            raise RuntimeError(f"PCR_Read: 0x{rc:x}")
        # counter, selection, then TPML_DIGEST
        at = 4 + 4 + 2 + 1 + 3
        count, size = struct.unpack(">IH", body[at:at + 6])
        return body[at + 6:at + 6 + size] if count else None

    def pcr_extend(self, pcr, digest, alg=0x000b):
        return self.run(0x182, struct.pack(">I", pcr) + password() +
                        struct.pack(">IH", 1, alg) + digest, 0x8002)[0]

    def property(self, prop):
        rc, body = self.run(0x17a, struct.pack(">III", 6, prop, 1))
        if rc:
            raise RuntimeError(f"GetCapability: 0x{rc:x}")
        _, _, _, got, value = struct.unpack(">BIIII", body)
        return value if got == prop else None


def command(code, body=b"", tag=0x8001):
    return struct.pack(">HII", tag, 10 + len(body), code) + body


def password(auth=b""):
    """An authorisation area of one TPM_RS_PW session."""
    one = struct.pack(">IHBH", 0x40000009, 0, 0, len(auth)) + auth
    return struct.pack(">I", len(one)) + one


class Place:
    """A temporary directory with a state directory, nvram files, vtpmds."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="vtpmd-test.")
        self.state = os.path.join(self.dir, "state")
        self.user = []
        if os.geteuid() == 0:
            # Whom vtpmd becomes owns the place, so that it can tidy up.
            self.user = ["--user", "nobody"]
            shutil.chown(self.dir, "nobody")
        self.running = []
        os.environ["VTPMD_STATE_DIR"] = self.state
        atexit.register(self.clean)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def clean(self):
        for d in self.running:
            d.stop(signal.SIGKILL)
        if "KEEP" in os.environ:
            return
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def create(self, name="vm.nvram", *options):
        file = self.path(name)
        subprocess.run([VTPMCTL, "create", *options, file], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        return file

    def among(self, pids, command):
        """The command, where /proc shows these processes and itself only: who
        acts on every vtpmd of the host must not find those of other tests."""
        proc = self.path("proc")
        os.makedirs(proc, exist_ok=True)
        script = ('set -e; proc=$1; pids=$2; shift 2\n'
                  'mount -t tmpfs none "$proc"; ln -s $$ "$proc/self"\n'
                  'for p in $pids $$; do mkdir "$proc/$p"\n'
                  'mount --bind "/proc/$p" "$proc/$p"; done\n'
                  'mount --rbind "$proc" /proc; exec "$@"')
        rights = [] if os.geteuid() == 0 else ["--map-current-user"]
        return ["unshare", *rights, "--mount", "sh", "-c", script, "sh", proc,
                " ".join(map(str, pids)), *command]

    def start(self, file, *options, wait=True, **popen):
        d = Vtpmd(self, file, options, popen)
        self.running.append(d)
        if wait:
            d.wait_ready()
        return d


def is_sanitized():
    with open(VTPMD, "rb") as f:
        text = f.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def has_threadsanitizer():
    with open(VTPMD, "rb") as f:
        return b"__tsan_init" in f.read()


class Vtpmd:
    """One running vtpmd; its log is a file."""

    all = []

    def __init__(self, place, file, options, popen):
        Vtpmd.all.append(self)
        number = len(place.running)
        self.ctrl = place.path(f"ctrl{number}")
        self.log = place.path(f"log{number}")
        with open(self.log, "ab") as log:
            self.p = subprocess.Popen(
                [VTPMD, "--nvram", file, "--ctrl", f"unix:{self.ctrl}",
                 "--log-level", "debug", *place.user, *options],
                stdin=subprocess.DEVNULL, stderr=log, **popen)

    def logged(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait_logged(self, text, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while text not in self.logged():
            if time.monotonic() > end or self.p.poll() is not None:
                return text in self.logged()
            time.sleep(0.01)
        return True

    def wait_ready(self):
        if not self.wait_logged("ready on"):
            raise RuntimeError("vtpmd does not start: " + self.logged())

    def connect(self):
        return Ctrl(self.ctrl)

    def tpm(self, startup=True):
        """A control and a data connection with the TPM on."""
        c = self.connect()
        res, d = c.datafd()
        if res or c.init():
            raise RuntimeError("cannot power the TPM on: " + self.logged())
        if startup and d.startup():
            raise RuntimeError("TPM2_Startup failed")
        return c, d

    def wait_end(self, seconds=TIMEOUT):
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, sig=signal.SIGTERM):
        if self.p.poll() is None:
            self.p.send_signal(sig)
        return self.wait_end()

    def child(self, name):
        """The youngest: one that it replaces may still be there."""
        return [x for x in children(self.p.pid) if comm(x) == name][-1]

    def monitor(self):
        return self.child("vtpmd-monitor")

    def worker(self):
        return self.child("vtpmd-worker")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(x) for x in f.read().split()]


def wait_gone(pid, seconds=TIMEOUT):
    end = time.monotonic() + seconds
    while comm(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not comm(pid)


def comm(pid):
    """The name of a process; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""
