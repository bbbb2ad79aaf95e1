# SPDX-License-Identifier: BSD-3-Clause
"""Key management servers for tests: a CA and certificates, the real PyKMIP, a
node that answers whatever a test wants, and the client under test.

The answers of the latter kind are encoded here, from the KMIP specification
(1.4, 9.1), not from the client's source, so that the two can disagree."""
import atexit
import os
import queue
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

SRC = os.environ.get("top_srcdir") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir") or os.path.join(SRC, "build")
CLIENT = os.path.join(BUILD, "tests/tools/kmip-run")
PYKMIP = os.path.join(SRC, "tests/integration/pykmip-node.py")
TIMEOUT = 30

# -- TTLV ---------------------------------------------------------------------

STRUCTURE, INTEGER, LONG, BIG, ENUM, BOOL, TEXT, BYTES, DATE = range(1, 10)
(OPERATION, BATCH_ITEM, ITEM_ID, STATUS, REASON, MESSAGE, PAYLOAD, ID, TYPE) = (
    0x42005c, 0x42000f, 0x420093, 0x42007f, 0x42007e, 0x42007d, 0x42007c,
    0x420094, 0x420057)


def item(tag, kind, value):
    """Bytes of one item; a structure's value is bytes of items."""
    if kind in (INTEGER, ENUM):
        value = struct.pack(">I", value)
    elif kind in (LONG, BOOL, DATE):
        value = struct.pack(">q", value)
    elif kind == TEXT:
        value = value.encode()
    return (struct.pack(">II", tag << 8 | kind, len(value)) + value +
            bytes(-len(value) % 8))


def items(data):
    """A list of (tag, value): integers, bytes, or lists for structures."""
    out, at = [], 0
    while at < len(data):
        tag_kind, size = struct.unpack_from(">II", data, at)
        raw = data[at + 8:at + 8 + size]
        at += 8 + size + -size % 8
        kind = tag_kind & 0xff
        if kind == STRUCTURE:
            value = items(raw)
        elif kind in (INTEGER, ENUM, LONG, BOOL, DATE):
            value = int.from_bytes(raw, "big")
        elif kind == TEXT:
            value = raw.decode()
        else:
            value = raw
        out.append((tag_kind >> 8, value))
    return out


def find(tree, *tags):
    for tag in tags:
        for name, value in tree or []:
            if name == tag:
                tree = value
                break
        else:
            return None
    return tree


class Request:
    """What came, taken apart."""

    def __init__(self, data):
        self.data = data
        self.tree = items(data)[0][1]
        version = find(self.tree, 0x420077, 0x420069)
        self.version = (find(version, 0x42006a), find(version, 0x42006b))
        self.operation = find(self.tree, BATCH_ITEM, OPERATION)
        self.item_id = find(self.tree, BATCH_ITEM, ITEM_ID)
        self.payload = find(self.tree, BATCH_ITEM, 0x420079)
        self.id = find(self.payload, ID)


def version_item(version):
    return item(0x420069, STRUCTURE, item(0x42006a, INTEGER, version[0]) +
                item(0x42006b, INTEGER, version[1]))


def answer(request, payload=None, status=0, reason=None, message=None,
           version=None, operation=None, item_id=None, count=1):
    """A response message; the arguments make it wrong. operation or item_id
    0: left out."""
    header = item(0x42007a, STRUCTURE, version_item(
        version or request.version) + item(0x420092, DATE, int(time.time())) +
        item(0x42000d, INTEGER, count))
    body = b""
    if operation != 0:
        body += item(OPERATION, ENUM, operation or request.operation)
    if item_id != 0:
        body += item(ITEM_ID, BYTES, item_id or request.item_id)
    body += item(STATUS, ENUM, status)
    if reason is not None:
        body += item(REASON, ENUM, reason)
    if message is not None:
        body += item(MESSAGE, TEXT, message)
    if payload is not None:
        body += item(PAYLOAD, STRUCTURE, payload)
    return item(0x42007b, STRUCTURE,
                header + item(BATCH_ITEM, STRUCTURE, body))


def versions_payload(*versions):
    return b"".join(version_item(v) for v in versions)


def key_payload(uid, key, algorithm=3, length=256, fmt=1, kind=2, value=None,
                wrapping=b""):
    """Of Get: KMIP 1.4, 2.1.3 and 4.11."""
    if value is None:
        value = item(0x420045, STRUCTURE, item(0x420043, BYTES, key))
    return (item(TYPE, ENUM, kind) + item(ID, TEXT, uid) +
            item(0x42008f, STRUCTURE, item(0x420040, STRUCTURE,
                 item(0x420042, ENUM, fmt) + value +
                 item(0x420028, ENUM, algorithm) +
                 item(0x42002a, INTEGER, length) + wrapping)))


def wrapping_data():
    return item(0x420046, STRUCTURE, item(0x42009e, ENUM, 1))


# -- certificates -------------------------------------------------------------

class Place:
    """A temporary directory with a CA, and what it signs."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="vtpmd-kms.")
        atexit.register(shutil.rmtree, self.dir, True)
        self.ca("ca")
        self.cert("server", "DNS:kms.test,IP:127.0.0.1", "serverAuth")
        self.cert("client", None, "clientAuth")

    def path(self, name):
        return os.path.join(self.dir, name)

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, cwd=self.dir,
                       stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=TIMEOUT)

    def ca(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", f"/CN=test {name}", "-keyout", name + ".key",
                     "-out", name + ".pem")

    def cert(self, name, san, usage, ca="ca", days=2):
        """name.pem and name.key; days may be negative."""
        self.openssl("req", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-subj",
                     f"/CN={name}", "-keyout", name + ".key", "-out",
                     name + ".csr")
        with open(self.path(name + ".ext"), "w", encoding="ascii") as f:
            f.write(f"basicConstraints=critical,CA:FALSE\n"
                    f"extendedKeyUsage={usage}\n")
            if san:
                f.write(f"subjectAltName={san}\n")
        when = ["-days", str(days)]
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem",
                     "-CAkey", ca + ".key", "-CAcreateserial", "-extfile",
                     name + ".ext", *when, "-out", name + ".pem")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# -- the real one -------------------------------------------------------------

class Pykmip:
    """A PyKMIP server; what it keeps stays in `database` over restarts."""
    all = []

    def __init__(self, place, name="kms", database=None, server="server",
                 **options):
        self.place, self.name, self.server = place, name, server
        self.port = free_port()
        self.database = place.path(database or name + ".db")
        self.options = options      # tls, versions, no_discover
        self.process = None
        os.makedirs(place.path("policy"), exist_ok=True)
        self.start()

    def start(self):
        words = ["/usr/bin/python3", PYKMIP, self.place.dir, self.server,
                 str(self.port), self.database, self.name]
        words += [f"{k}={v}" for k, v in self.options.items()]
        # Its own group: it starts a process of its own.
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=open(self.place.path(self.name + ".err"), "ab"))
        if self not in Pykmip.all:
            Pykmip.all.append(self)
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("PyKMIP does not come up: " + self.errors())

    def errors(self):
        with open(self.place.path(self.name + ".err"),
                  encoding="utf-8") as f:
            return f.read()

    def stop(self):
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(TIMEOUT)
        self.process = None

    @property
    def node(self):
        return f"127.0.0.1:{self.port}"


@atexit.register
def _stop_all():
    for server in Pykmip.all:
        server.stop()


# -- one that does what it is told --------------------------------------------

class Fake:
    """A node in a thread of this process. `behave(request, connection)`
    returns the bytes to answer, or None when it has answered (or not) itself.
    DiscoverVersions and Query are answered as by any server unless
    raw=True."""

    def __init__(self, place, behave=None, server="server", ca="ca", raw=False,
                 versions=((1, 4),), tls=None, ask=True, listen=True):
        self.behave = behave or (lambda r, c: answer(
            r, status=1, reason=5, message="no such thing"))
        self.raw, self.versions = raw, versions
        self.requests = []
        self.handshakes = self.accepted = 0
        self.stopping = False
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(place.path(server + ".pem"),
                                     place.path(server + ".key"))
        self.context.load_verify_locations(place.path(ca + ".pem"))
        if ask:
            self.context.verify_mode = ssl.CERT_REQUIRED
        if tls == "1.2":
            self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        if tls == "1.1":
            self.context.set_ciphers("DEFAULT@SECLEVEL=0")
            self.context.minimum_version = ssl.TLSVersion.TLSv1_1
            self.context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.port, self.listener = free_port(), None
        self.open = []
        if listen:
            self.start()

    @property
    def node(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.stopping = False
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,),
                         daemon=True).start()

    def stop(self):
        """Closes everything, as a process that ends does."""
        self.stopping = True
        if self.listener:
            # Wakes the thread in accept.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def count(self, operation):
        return sum(r.operation == operation for r in self.requests)

    def _accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.open.append(s)
            threading.Thread(target=self._serve, args=(s,),
                             daemon=True).start()

    def _serve(self, s):
        try:
            s.settimeout(TIMEOUT)
            with self.context.wrap_socket(s, server_side=True) as tls:
                self.handshakes += 1
                self.open.append(tls)
                while self._one(tls):
                    pass
        except (OSError, ssl.SSLError):
            pass
        finally:
            s.close()

    def _one(self, tls):
        head = self._read(tls, 8)
        if head is None:
            return False
        body = self._read(tls, struct.unpack(">I", head[4:])[0])
        if body is None:
            return False
        request = Request(head + body)
        self.requests.append(request)
        out = None
        if not self.raw and request.operation == 30:
            out = answer(request, versions_payload(*self.versions))
        elif not self.raw and request.operation == 24:
            out = answer(request, item(0x42009d, TEXT, "fake"))
        else:
            out = self.behave(request, tls)
        if out is not None:
            tls.sendall(out)
        return True

    @staticmethod
    def _read(tls, size):
        data = b""
        while len(data) < size:
            more = tls.recv(size - len(data))
            if not more:
                return None
            data += more
        return data


# -- how a node may behave ----------------------------------------------------

KEY = bytes(range(32))
GOOD = "^ok 630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd$"


def good(request, _=None):
    return answer(request, key_payload(request.id, KEY))


def silent(_request, _connection):
    time.sleep(3)


def reset_after(size):
    def behave(request, connection):
        if size:
            connection.sendall(good(request)[:size])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
        os.close(connection.detach())
    return behave


findings = []       # of sanitizers, where the client was built with them

# -- the client under test ----------------------------------------------------

class Client:
    """tests/tools/kmip-run; say() gives it a line and returns its answer."""

    def __init__(self, place, *nodes, prefix=(), **options):
        words = {"ca": place.path("ca.pem"), "cert": place.path("client.pem"),
                 "key": place.path("client.key"), **options}
        self.log = tempfile.NamedTemporaryFile(dir=place.dir, mode="w+")
        self.process = subprocess.Popen(
            [*prefix, CLIENT, *(f"node={n}" for n in nodes),
             *(f"{k}={v}" for k, v in words.items() if v is not None)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True)
        atexit.register(self.close)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ready = self.lines.get(timeout=TIMEOUT)

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put("")

    def send(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def receive(self):
        return self.lines.get(timeout=TIMEOUT)

    def say(self, *words):
        self.send(*words)
        return self.receive()

    def close(self):
        """What it wrote to standard error; ends it."""
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
                self.process.wait(TIMEOUT)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        if self.log is not None:
            self.log.seek(0)
            self.logged = self.log.read()
            self.log.close()
            self.log = None
            if "Sanitizer" in self.logged or "runtime error:" in self.logged:
                findings.append(self.logged)
        return self.logged


def once(place, *nodes, command="query", **options):
    """One command of a client of its own: its answer."""
    c = Client(place, *nodes, **options)
    out = c.say(command) if c.ready == "ok ready" else c.ready
    c.close()
    return out


def timed(client, *words):
    began = time.monotonic()
    return client.say(*words), time.monotonic() - began
