# SPDX-License-Identifier: BSD-3-Clause
"""Hosts with a software TPM for tests of the agent: swtpm with EK certificates
of a CA, a recorded boot replayed into its PCRs, and a bus between the agent and
the TPM that listens, or does what a broken TPM would do.

Run as a program it is that bus: tpm2-tss's "cmd" TCTI starts it, with the
TPM's socket, a file for what passes, and orders."""
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.environ.get("top_srcdir") or os.path.join(HERE, "..", "..")
BUILD = os.environ.get("top_builddir") or os.path.join(SRC, "build")
GOLDEN = os.path.join(SRC, "tests/unit/golden/attest")
AGENT = os.path.join(BUILD, "tests/tools/agent-run")
SHOW = os.path.join(BUILD, "tests/tools/attest-show")
HELPER = os.path.join(BUILD, "vta-kmxa-tpm")
TIMEOUT = 60

# TPM_CC, TPM 2.0 Part 2, 6.5.2.
LOAD, QUOTE, UNSEAL, CREATE = 0x157, 0x158, 0x15e, 0x153
ACTIVATE, PCR_EXTEND, PCR_READ = 0x147, 0x182, 0x17e
SIZES = {0x0004: 20, 0x000b: 32, 0x000c: 48, 0x000d: 64}


def read_exactly(read, size):
    out = b""
    while len(out) < size:
        part = read(size - len(out))
        if not part:
            raise EOFError
        out += part
    return out


def read_message(read):
    head = read_exactly(read, 6)
    return head + read_exactly(read, struct.unpack(">I", head[2:])[0] - 6)


def extend_command(pcr, bank, digest):
    """TPM2_PCR_Extend with an empty password."""
    auth = struct.pack(">IHBH", 0x40000009, 0, 0, 0)
    body = (struct.pack(">II", pcr, len(auth)) + auth +
            struct.pack(">IH", 1, bank) + digest)
    return struct.pack(">HII", 0x8002, 10 + len(body), PCR_EXTEND) + body


def listening(path):
    """By the kernel's table: a name is there before its socket listens, and
    swtpm takes one connection at a time."""
    with open("/proc/net/unix", encoding="utf-8") as f:
        # Num RefCount Protocol Flags (SO_ACCEPTCON) Type St Inode Path
        return any(row[-1] == path and int(row[3], 16) & 0x10000
                   for row in (line.split() for line in f.readlines()[1:]))


class Host:
    """A host's TPM, and its agent's files."""
    all = []

    def __init__(self, place, name, certificates=True):
        Host.all.append(self)
        self.dir = os.path.join(place, name)
        self.state = os.path.join(self.dir, "state")
        self.ids = os.path.join(self.dir, "id")
        self.socket = os.path.join(self.dir, "s")
        self.ek, self.p = None, None
        os.makedirs(os.path.join(self.dir, "tpm"))
        os.makedirs(os.path.join(place, "ca"), exist_ok=True)
        config = os.path.join(place, "localca.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(f"statedir = {place}/ca\n"
                    f"signingkey = {place}/ca/signkey.pem\n"
                    f"issuercert = {place}/ca/issuercert.pem\n"
                    f"certserial = {place}/ca/certserial\n")
        with open(config + ".options", "w", encoding="ascii"):
            pass
        setup = os.path.join(place, "setup.conf")
        tool = shutil.which("swtpm_localca") or "/usr/bin/swtpm_localca"
        with open(setup, "w", encoding="ascii") as f:
            f.write(f"create_certs_tool = {tool}\n"
                    f"create_certs_tool_config = {config}\n"
                    f"create_certs_tool_options = {config}.options\n"
                    "active_pcr_banks = sha256,sha384\n")
        subprocess.run(
            ["swtpm_setup", "--tpm2", "--tpmstate",
             os.path.join(self.dir, "tpm"), "--config", setup, "--overwrite"] +
            (["--createek", "--create-ek-cert"] if certificates else []),
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=TIMEOUT)
        self.start()

    def start(self):
        for name in (self.socket, self.socket + ".ctrl"):
            if os.path.exists(name):
                os.unlink(name)
        self.p = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate",
             f"dir={self.dir}/tpm", "--server",
             f"type=unixio,path={self.socket}", "--ctrl",
             f"type=unixio,path={self.socket}.ctrl", "--flags",
             "startup-clear"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not listening(self.socket):
            if time.monotonic() > end:
                raise RuntimeError("swtpm does not listen")
            time.sleep(0.01)

    def stop(self):
        if self.p is not None:
            self.p.kill()
            self.p.wait()
        self.p = None

    def reboot(self):
        # In order, so that it does not count as a failed authorisation.
        self.tool("tpm2_shutdown", "-c")
        self.stop()
        self.start()

    def tcti(self):
        return f"swtpm:path={self.socket}"

    def run(self, command, check):
        return subprocess.run(
            command, check=check, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "TPM2TOOLS_TCTI": self.tcti()})

    def tool(self, *command):
        """A program of tpm2-tools, which has to succeed; its output."""
        return self.run(command, True).stdout

    def status(self, *command):
        return self.run(command, False).returncode

    def flush(self):
        """There is no resource manager that does it for a dead client."""
        for kind in ("-t", "-l", "-s"):
            self.tool("tpm2_flushcontext", kind)

    def send(self, commands):
        """Raw commands, each of which has to succeed."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(TIMEOUT)
            s.connect(self.socket)
            for command in commands:
                s.sendall(command)
                code = struct.unpack(">HII", read_message(s.recv)[:10])[2]
                if code:
                    raise RuntimeError(f"TPM said {code:#x}")

    def agent(self, *arguments, options=(), tcti=None, data=b"", state=None):
        """(exit status, standard output, standard error)"""
        r = subprocess.run(
            [AGENT, "-h", HELPER, "-t", tcti or self.tcti(),
             *(["-e", self.ek] if self.ek else []), *options,
             state or self.state, *map(str, arguments)],
            input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=TIMEOUT, check=False)
        return r.returncode, r.stdout, r.stderr.decode()

    def path(self, name):
        return os.path.join(self.dir, name)

    def bus(self, *orders):
        """A TCTI through the program below; what passes is in bus."""
        # tpm2-tss runs it by a shell.
        return (f"cmd:exec {sys.executable} {HERE}/hosttpm.py {self.socket} "
                f"{self.path('bus')} {' '.join(orders)}")

    def passed(self):
        with open(self.path("bus"), "rb") as f:
            return f.read()


def stop_all():
    for host in Host.all:
        host.stop()


def show(*arguments):
    r = subprocess.run([SHOW, *map(str, arguments)], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)
    return r.returncode, r.stdout.decode() + r.stderr.decode()


def golden(boot, name):
    with open(os.path.join(GOLDEN, boot, name), "rb") as f:
        return f.read()


def event_extends(log, want=(0x000b, 0x000c)):
    """What a firmware's log did to the PCRs (Firmware Profile, clause 10)."""
    out = []
    size = struct.unpack_from("<I", log, 28)[0]
    spec, at = log[32:32 + size], 32 + size
    count = struct.unpack_from("<I", spec, 24)[0]
    sizes = dict(struct.unpack_from("<HH", spec, 28 + 4 * i)
                 for i in range(count))
    while at < len(log):
        pcr, kind, count = struct.unpack_from("<III", log, at)
        at += 12
        for _ in range(count):
            bank = struct.unpack_from("<H", log, at)[0]
            digest = log[at + 2:at + 2 + sizes[bank]]
            at += 2 + sizes[bank]
            if kind != 3 and bank in want:  # EV_NO_ACTION
                out.append(extend_command(pcr, bank, digest))
        at += 4 + struct.unpack_from("<I", log, at)[0]
    return out


def ima_entry(path, digest):
    """An entry of the template ima-ng, as the kernel writes it."""
    d = b"sha256:\0" + digest
    n = path.encode() + b"\0"
    data = struct.pack("<I", len(d)) + d + struct.pack("<I", len(n)) + n
    return (struct.pack("<I", 10) + hashlib.sha1(data).digest() +
            struct.pack("<I", 6) + b"ima-ng" + struct.pack("<I", len(data)) +
            data)


def ima_extends(log, want=(0x000b,)):
    out, at = [], 0
    while at < len(log):
        pcr = struct.unpack_from("<I", log, at)[0]
        at += 24
        at += 4 + struct.unpack_from("<I", log, at)[0]
        size = struct.unpack_from("<I", log, at)[0]
        data = log[at + 4:at + 4 + size]
        at += 4 + size
        for bank in want:
            name = {0x000b: "sha256", 0x000c: "sha384"}[bank]
            out.append(extend_command(pcr, bank,
                                      hashlib.new(name, data).digest()))
    return out


def sections(message):
    """Of evidence (doc/protocols.md): kind to bytes."""
    assert message[:8] == b"VTAEVID1"
    out, at = {}, 8
    while at < len(message):
        kind, size = struct.unpack_from(">HI", message, at)
        out[kind] = message[at + 6:at + 6 + size]
        at += 6 + size
    return out


def move(log):
    """Commands by which PCR 10 changes."""
    if log is None:
        return [extend_command(10, 0x000b, os.urandom(32))]
    log, entries = log.split(",")
    with open(entries, "rb") as f:
        entries = f.read()
    with open(log, "ab") as f:
        f.write(entries)
    return ima_extends(entries)


def bus_main(path, record, *orders):
    """Orders: "move=CC,N": PCR 10 changes before each of the first N of that
    command; with "log=FILE,ENTRIES" by these entries of the IMA log, which are
    then in it.
    "hang=CC", "die=CC", "junk=CC" (hexadecimal): at that command no answer
    ever, the end, nonsense. "answer=CC,RC,N": N times that response code."""
    orders = dict(o.split("=") for o in orders)
    tpm = socket.socket(socket.AF_UNIX)
    tpm.connect(path)
    moved, left = (int(x, 16) for x in orders.get("move", "0,0").split(","))
    at, rc, times = (int(x, 16) for x in
                     orders.get("answer", "0,0,0").split(","))
    log = open(record, "ab", buffering=0)

    def stdin(n):
        return os.read(0, n)

    while True:
        try:
            command = read_message(stdin)
        except EOFError:
            return
        code = struct.unpack(">I", command[6:10])[0]
        log.write(command)
        if f"{code:x}" == orders.get("hang"):
            while stdin(4096):
                pass
            return
        if f"{code:x}" == orders.get("die"):
            return
        if f"{code:x}" == orders.get("junk"):
            os.write(1, struct.pack(">HII", 0x8001, 40, 0) + b"\xff" * 30)
            continue
        if code == at and times > 0:
            times -= 1
            os.write(1, struct.pack(">HII", 0x8001, 10, rc))
            continue
        if code == moved and left > 0:
            left -= 1
            for extend in move(orders.get("log")):
                tpm.sendall(extend)
                read_message(tpm.recv)
        tpm.sendall(command)
        answer = read_message(tpm.recv)
        log.write(answer)
        os.write(1, answer)


if __name__ == "__main__":
    bus_main(*sys.argv[1:])
