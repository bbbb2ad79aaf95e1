#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of the fuzz targets into the folder given, one folder per
target: valid inputs from the formats' documents, for the fuzzer to change.
The files in corpus/ that this does not write are findings of the past."""
import os
import struct
import sys

OUT = sys.argv[1] if len(sys.argv) > 1 else "corpus"
NONE = bytes(4)              # nothing fails
SOME = b"\x19\1\2\3"         # one call in 25


def seed(target, name, data):
    folder = os.path.join(OUT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


# nvram: mode, what to do, failing operation, missing pages, changes
def change(offset, data):
    return struct.pack(">HB", offset, len(data)) + data


RAW, CHANGED, CHECKSUMS, SEALED = range(4)
KEYS = 4 | 8
seed("nvram", "untouched", NONE + bytes([CHANGED | KEYS, 0x7f, 0, 0]))
seed("nvram", "untouched-failing", SOME + bytes([CHANGED | KEYS, 0x7f, 0, 0]))
seed("nvram", "passphrase", NONE + bytes([CHANGED | 8, 0x31, 0, 0]))
for op in (1, 2, 5, 9):
    seed("nvram", f"write-{op}", NONE + bytes([CHANGED | KEYS, 0x5e, op, 0]))
seed("nvram", "cut", NONE + bytes([CHANGED | KEYS, 0x10, 0, 2]))
seed("nvram", "raw", NONE + bytes([RAW | KEYS, 0, 0, 0]) + b"VTPMNVSB" +
     struct.pack(">IIII", 1, 12288, 8192, 2))
seed("nvram", "format-2", NONE + bytes([CHECKSUMS | KEYS, 0, 0, 0]) +
     change(8, struct.pack(">I", 2)))
for name, at, value in (("slot-size", 16, struct.pack(">I", 0xfffff000)),
                        ("epoch", 72, b"\xff" * 8),
                        ("generation", 24, b"\xff" * 8),
                        ("floor", 280, b"\xff" * 8),
                        ("protector-size", 1026, b"\xff\xff"),
                        ("iterations", 2048 + 128, b"\xff\xff\xff\xff"),
                        ("slot-payload", 24576 + 48, b"\xff\xff\xff\xff"),
                        ("slot-sequence", 24576 + 16, b"\xff" * 8),
                        ("record-size", 24576 + 128 + 4, b"\xff" * 4),
                        ("record-twice", 24576 + 128 + 308, b"\0\0\0\1")):
    for mode in (CHECKSUMS, SEALED):
        seed("nvram", f"{name}-{mode}",
             NONE + bytes([mode | KEYS, 0x15, 0, 0]) + change(at, value))

for failing in (b"\x08\1\2\3", b"\x20\4\5\6", b"\x80\7\x08\x09"):
    seed("nvram", f"file-failing-{failing[0]}",
         failing + bytes([CHANGED | KEYS | 32, 0x7e, 0, 0]))

# protector: mode, kind, body size, id, time, label, body
for kind, params in ((1, b"\x5a" * 16), (2, struct.pack(">I", 250000) +
                                         b"s" * 32)):
    body = params + bytes(24 + 32 + 16)
    plain = (struct.pack(">HH", kind, len(body)) + b"idididid" + bytes(8) +
             b"label".ljust(64, b"\0") + body)
    for mode in (0, 1, 8):
        seed("protector", f"kind-{kind}-{mode}", NONE + bytes([mode]) + plain)
        seed("protector", f"kind-{kind}-{mode}-failing",
             SOME + bytes([mode]) + plain)

# native-key: mode, doc/native-key.md
for storage, body in ((1, b"k" * 32), (2, b"b" * 200)):
    file = (b"VTPMHKEY" + struct.pack(">HH", 1, storage) + bytes(16) +
            struct.pack(">I", len(body)) + body)
    for mode in (0, 1, 3):
        seed("native-key", f"storage-{storage}-{mode}",
             NONE + bytes([mode]) + file)
    seed("native-key", f"storage-{storage}-failing", SOME + b"\1" + file)

# freshness: mode, the claim's epoch, changes
for name, mode, epoch in (("left", 0, 0), ("older", 16, 5), ("forked", 2, 0),
                          ("ahead", 16, 9), ("accepted", 16 | 4, 3),
                          ("bound", 8, 0)):
    for failing in ("", "-failing"):
        seed("freshness", name + failing, (SOME if failing else NONE) +
             bytes([mode, epoch]))
for at, value in ((12, b"\0\0\0\2"), (12, b"\0\0\0\xff"), (16, b"\xff" * 8),
                  (40, b"\xff" * 8), (8, b"\0\0\0\1"), (0, b"X"),
                  (64, b"\xff" * 4)):
    for mode in (0, 1):
        seed("freshness", f"at-{at}-{value[-1]}-{mode}", NONE +
             bytes([mode, 0]) + change(512 + at, value))

# control and needs: flags, steps (monitor-between.h)
(CONNECT, BYTES, FD, READ, CLOSE, ANSWER, NEED, SHARED, RAW_, SIGNAL) = \
    (bytes([i]) for i in range(10))


def send(data, client=0):
    return BYTES + bytes([client]) + struct.pack(">H", len(data)) + data


def answer(result=0, arg=0, size=0):
    return ANSWER + struct.pack(">III", result, arg, size)


def need(kind, arg=0, size=0):
    return NEED + struct.pack(">BII", kind, arg, size)


def command(number, *words):
    return struct.pack(f">{1 + len(words)}I", number, *words)


INIT = send(command(2, 0)) + answer()
every = b"".join(send(command(n) + bytes(pad)) + answer(0, 1, 8) + READ + b"\0"
                 for n, pad in ((1, 0), (4, 0), (5, 4), (6, 0), (8, 0), (9, 0),
                                (10, 0), (11, 4), (15, 0), (19, 4)))
seed("control", "every", NONE + b"\0" + INIT + every)
seed("control", "every-failing", b"\x40\7\7\7\0" + INIT + every)
seed("control", "datafd", NONE + b"\1" + FD + b"\0\0" +
     send(command(16)[1:]) + answer() + INIT + need(4) + CLOSE + b"\0")
seed("control", "buffersize", NONE + b"\0" + send(command(17, 3968)) +
     SHARED + b"\0\0\0\x08" + bytes(8) + answer(0, 3968, 8))
seed("control", "hash-data", NONE + b"\0" + INIT + send(command(6)) +
     answer() + send(command(7, 20) + b"x" * 20) + answer() +
     send(command(7, 0x7fffffff)) + send(command(8)) + answer())
seed("control", "blobs", NONE + b"\0" + send(command(12, 1, 1, 0)) +
     answer(0, 0, 6000) + READ + b"\0" + send(command(12, 1, 1, 5000)) +
     answer(0, 0, 4000) + send(command(13, 0, 1, 40) + b"b" * 30) +
     send(b"b" * 10) + answer() + send(command(13, 0, 2, 0xffffffff)))
seed("control", "info", NONE + b"\0" + send(command(18, 0, 1, 0, 0)) +
     answer(0, 0, 300) + READ + b"\0")
seed("control", "two-clients", NONE + b"\0" + CONNECT + INIT +
     send(command(14)) + send(command(14), 1) + CLOSE + b"\0" + answer() +
     answer() + send(command(3), 1) + answer())
seed("control", "signal", NONE + b"\0" + INIT + SIGNAL + b"\x0f" + answer())
for kind, arg, size in ((1, 1, 0), (2, 1, 100), (2, 2, 262144), (2, 9, 4),
                        (3, 0, 512), (3, 9, 513), (4, 0, 0), (5, 0, 0),
                        (2, 1, 0xffffffff)):
    seed("needs", f"need-{kind}-{arg}-{size}", NONE + b"\0" + SHARED +
         b"\1\0\0\x10" + b"A" * 16 + need(kind, arg, size) +
         need(3, 2, 10))
seed("needs", "raw", NONE + b"\0" + RAW_ + b"\1\x11" + bytes(17))
seed("needs", "raw-fd", NONE + b"\0" + RAW_ + b"\x81\x10" + bytes(16))
seed("needs", "raw-orders-fd", NONE + b"\0" + send(command(14)) + RAW_ +
     b"\x80\x10" + bytes(16))
seed("needs", "answer-unasked", NONE + b"\0" + answer())
seed("needs", "answer-too-large", NONE + b"\0" + send(command(12, 1, 1, 0)) +
     answer(0, 0, 262145))
seed("needs", "load-when-not-allowed", NONE + b"\0" + need(1, 1, 0))


# tpm: pieces
def piece(data, more=False):
    return struct.pack(">H", len(data) | (0x8000 if more else 0)) + data


def tpm(code, body=b"", tag=0x8001):
    return struct.pack(">HII", tag, 10 + len(body), code) + body


def password(handle):
    return (struct.pack(">I", handle) +
            struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0))


random8 = tpm(0x17b, struct.pack(">H", 8))
digest = struct.pack(">IH", 1, 0xb) + bytes(32)
nv = 0x01500000
public = struct.pack(">IHIHH", nv, 0xb, 0x00040004, 0, 8)
ecc = (struct.pack(">HHIHHHHHHHH", 0x23, 0xb, 0x00040072, 0, 0x10, 0x10, 3,
                   0x10, 0, 0, 0)[:16] +
       struct.pack(">HHHHHH", 0x10, 0x18, 0xb, 3, 0x10, 0))
commands = {
    "random": random8,
    "capability": tpm(0x17a, struct.pack(">III", 6, 0x100, 64)),
    "handles": tpm(0x17a, struct.pack(">III", 1, 0x80000000, 20)),
    "pcr-read": tpm(0x17e, struct.pack(">IHB", 1, 0xb, 3) + b"\xff" * 3),
    "pcr-extend": tpm(0x182, password(16) + digest, 0x8002),
    "nv": tpm(0x12a, password(0x40000001) + struct.pack(">H", 0) +
              struct.pack(">H", len(public)) + public, 0x8002),
    "nv-write": tpm(0x137, password(nv)[:4] + struct.pack(">I", nv) +
                    password(nv)[4:] + struct.pack(">H", 8) + b"8 bytes." +
                    struct.pack(">H", 0), 0x8002),
    "nv-read-public": tpm(0x169, struct.pack(">I", nv)),
    "session": tpm(0x176, struct.pack(">IIH", 0x40000007, 0x40000007, 16) +
                   bytes(16) + struct.pack(">HBHH", 0, 1, 0x10, 0xb)),
    "hash": tpm(0x17d, struct.pack(">H", 3) + b"abc" +
                struct.pack(">HI", 0xb, 0x40000007)),
    "sequence": tpm(0x186, struct.pack(">HH", 0, 0xb)),
    "ecc-primary": tpm(0x131, password(0x40000001) +
                       struct.pack(">HHH", 4, 0, 0) +
                       struct.pack(">H", len(ecc)) + ecc +
                       struct.pack(">HI", 0, 0), 0x8002),
    "context-save": tpm(0x162, struct.pack(">I", 0x80000000)),
    "shutdown": tpm(0x145, struct.pack(">H", 1)),
    "clear": tpm(0x126, password(0x4000000c), 0x8002),
}
for name, data in commands.items():
    seed("tpm", name, NONE + piece(data))
seed("tpm", "all", NONE + b"".join(map(piece, commands.values())))
seed("tpm", "all-failing", SOME + b"".join(map(piece, commands.values())))
seed("tpm", "in-pieces", NONE + b"".join(
    piece(random8[i:i + 1], i + 1 < len(random8))
    for i in range(len(random8))))
seed("tpm", "cut", NONE + piece(random8[:7]))
seed("tpm", "too-long", NONE + piece(random8 + bytes(9)))
seed("tpm", "announces-more", NONE + piece(
    random8[:2] + struct.pack(">I", 1 << 31) + random8[6:]))

# journal: resume, sent, changes, the guest's bytes
(BEGUN, RUN, ANSWERED, CAPTURED, CURRENT, ANSWER_AT, ANSWER_SIZE, COMMAND_SIZE,
 STATE_SIZE, LOG_COUNT, LOG_SIZE, LOG_NUMBER, JOURNAL_BYTES, NUMBER_CAPTURED,
 KEPT, KEPT_SIZE, KEPT_BYTE, DRAWN, ANSWER_BYTE, NO_BOOLS,
 STATE_BYTE) = range(21)


def journal(name, resume, *changes, sent=19, failing=NONE):
    body = b"".join(struct.pack(">BQ", f, v) for f, v in changes)
    seed("journal", name, failing + struct.pack(">BHB", resume, sent,
                                                len(changes)) + body + random8)


for resume in range(7):
    journal(f"honest-{resume}", resume)
    journal(f"honest-{resume}-failing", resume, failing=SOME)
journal("answer-beyond", 1, (ANSWER_AT, 16384), (ANSWER_SIZE, 1), sent=16384)
journal("answer-wraps", 1, (ANSWER_AT, 8), (ANSWER_SIZE, 0xfffffffc), sent=9)
journal("command-size", 2, (COMMAND_SIZE, 0xffffffff))
journal("counters", 3, (BEGUN, 2**64 - 1), (RUN, 2**64 - 1), (ANSWERED, 0))
journal("state-size", 0, (STATE_SIZE, 65537))
journal("log-count", 0, (LOG_COUNT, 33))
journal("log-size", 0, (LOG_SIZE, 129))
journal("log-huge", 0, (LOG_SIZE, 0xffffffff), (LOG_COUNT, 0xffffffff))
journal("current", 0, (CURRENT, 0xfffffffe))
# handed_out and struct tpm_progress: what no bool holds
journal("no-bool", 0, (NO_BOOLS, 0xff))

# The captured volatile state, with its checksum made right
for at in (10, 400, 2000):
    journal(f"state-checked-{at}", 0x80, (STATE_BYTE, at << 32 | 0xff))

# Told, and not captured: NUMBER is 5
TOLD = (CAPTURED, 4)
journal("told", 6, TOLD)
journal("told-failing", 6, TOLD, failing=SOME)
journal("told-drawn", 6, TOLD, (DRAWN, 5))
journal("told-other-answer", 6, TOLD, (ANSWER_BYTE, 18 << 32 | 1))
journal("told-other-command", 6, TOLD, (KEPT_BYTE, 40 << 32 | 1))
journal("told-kept-size", 6, TOLD, (KEPT_SIZE, 0xffffffff))
journal("told-answer-size", 6, TOLD, (ANSWER_SIZE, 0xffffffff))
journal("told-off", 6, TOLD, (NO_BOOLS, 0))
journal("told-counted", 6, TOLD, (NUMBER_CAPTURED, 2**64 - 1))

# envelope: mode, then a blob, changes of one, or headers
ENVELOPE = (b"VTPMBLOB" + struct.pack(">I", 1) + b"\1\2\3" + bytes(13) +
            struct.pack(">II", 1, 6) + b"s" * 16 +
            struct.pack(">QQQII", 1, 3, 1700000000, 0x902, 40) + b"c" * 32 +
            struct.pack(">IHH", 1, 1, 0) + b"i" * 16 + b"n" * 24 + b"k" * 32 +
            b"t" * 16 + b"N" * 24 + b"p" * 40 + b"T" * 16)
for failing in ("", "-failing"):
    before = SOME if failing else NONE
    seed("envelope", "raw" + failing, before + b"\0" + ENVELOPE)
    seed("envelope", "unchanged" + failing, before + b"\1")
    seed("envelope", "changed" + failing,
         before + b"\1" + struct.pack(">HBHB", 40, 2, 200, 0xff))
seed("envelope", "empty", NONE + b"\0")
seed("envelope", "size", NONE + b"\0" + ENVELOPE[:80] + b"\xff" * 4 +
     ENVELOPE[84:])
seed("envelope", "protectors", NONE + b"\0" + ENVELOPE[:116] + b"\xff" * 4 +
     ENVELOPE[120:])
seed("envelope", "params", NONE + b"\0" + ENVELOPE[:122] + b"\xff\xff" +
     ENVELOPE[124:])
seed("envelope", "row", NONE + b"\2" + b"".join(
    struct.pack(">IIIIB", *row) for row in (
        (2, 2, 6, 0x902, 1), (1, 1, 6, 0x902, 2), (1, 1, 6, 0xa00, 1),
        (1, 2, 6, 0x902, 1), (3, 3, 8, 0x902, 1), (1, 1, 6, 0x902, 1))))
# state-blob: mode, changes: which, offset, size, bytes
seed("state-blob", "good", NONE + b"\2")
seed("state-blob", "good-failing", SOME + b"\2")
seed("state-blob", "empty", NONE + b"\x82")
seed("state-blob", "nonsense", NONE + b"\x82nonsense")
seed("state-blob", "permanent-cut", NONE + b"\2" +
     struct.pack(">BHB", 0, 1000, 0))
seed("state-blob", "volatile-cut", NONE + b"\2" +
     struct.pack(">BHB", 1, 1000, 0))
seed("state-blob", "permanent-header", NONE + b"\2" +
     struct.pack(">BHB", 0, 0, 8) + b"\xff" * 8)
seed("state-blob", "libtpms-crash-audit-hash", NONE + b"\0" +
     struct.pack(">BHB", 0, 927, 29) + b"\xff" * 28 + b"\0")
for at in (10, 400, 2000, 5000):
    seed("state-blob", f"volatile-checked-{at}", NONE + b"\6" +
         struct.pack(">BHB", 1, at, 4) + b"\xff" * 4)
for at in (24, 8994):
    seed("state-blob", f"libtpms-crash-volatile-{at}", NONE + b"\6" +
         struct.pack(">BHB", 1, at, 1) + b"\xff")

# http: flags, target, Authorization, Content-Type, body
for name, flags, target, auth, kind, body in (
        ("get", 0, b"/a?x=y&z=%41", b"Bearer a.b-c", b"", b""),
        ("post", 17, b"/a", b"", b"application/json", b'{"a":[1,"x"]}'),
        ("not-certified", 1, b"/a", b"Bearer x", b"application/json", b"{}"),
        ("put", 2 | 16 | 32, b"/v/a%2fb", b"Bearer x",
         b"application/json; charset=utf-8", b"[]"),
        ("no-role", 2 | 16, b"/v/a", b"Bearer x", b"application/json", b"1"),
        ("two", 0, b"/v/%c3%a4/w/y?code=3", b"Bearer x", b"", b""),
        ("four", 16, b"/1/2/3/4?a=1&a=2", b"Basic x", b"", b""),
        ("control", 0, b"/v/%0d%0aX/w/%00", b"Bearer x", b"", b"")):
    for failing in ("", "-failing"):
        seed("http", name + failing, (SOME if failing else NONE) +
             bytes([flags]) + b"\0".join((target, auth, kind, body)))

# token: kind, text
for name, kind, text in (
        ("claims", 1, b'{"iss":"i","aud":"a","sub":"h","group":"g",'
         b'"policy":"p","evidence":"' + b"A" * 43 + b'","cnf":{"jwk":'
         b'{"kty":"EC","crv":"P-256",'
         b'"x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",'
         b'"y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}},'
         b'"iat":1799999999,"exp":1800000009,"jti":"1"}'),
        ("jws", 0, b"eyJhbGciOiJFUzI1NiIsInR5cCI6InZ0cG0taG9zdCtqd3QiLCJraWQi"
         b"OiJBIn0.e30." + b"A" * 86),
        ("none", 0, b"eyJhbGciOiJub25lIn0.e30."),
        ("jwe", 2, b"eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJ0"
         b"eXAiOiJ0IiwiZXBrIjp7fX0." + b"A" * 54 + b"." + b"A" * 16 +
         b".AAAA." + b"A" * 22),
        ("jwe-shared", 3, b"eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwI"
         b"joidCJ9." + b"A" * 54 + b"." + b"A" * 16 + b".AAAA." + b"A" * 22),
        ("jwks", 4, b'{"keys":[{"kty":"EC","crv":"P-256","kid":"x","nbf":1,'
         b'"exp":2,"x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",'
         b'"y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}'),
        ("audit", 5, b'{"hash":"' + b"0" * 64 + b'","prev":"' + b"0" * 64 +
         b'","record":{"seq":1}}'),
        ("etcd", 6, b'{"revision":"7","kvs":[{"key":"L3Rlc3QvYQ==",'
         b'"value":"eA==","mod_revision":"5"}]}')):
    for failing in ("", "-failing"):
        seed("token", name + failing, (SOME if failing else NONE) +
             bytes([kind]) + text)


# kmip: mode, operation, message or the payload's items
def item(tag, kind, value):
    if isinstance(value, int):
        value = struct.pack(">I" if kind in (2, 5) else ">Q", value)
    return (struct.pack(">II", tag << 8 | kind, len(value)) + value +
            bytes(-len(value) % 8))


KMIP_ID = item(0x420094, 7, b"id")
KMIP_KEY = bytes(range(32))
# RFC 3394: KMIP_KEY under a key of zeroes, and a Key Value around it.
KMIP_WRAPPED = bytes.fromhex(
    "246d75815315bd8b40ac141ba1cbca56785ae73cbbafa7fd20f4c91a99312c94"
    "6edff8132c8259b4")
KMIP_ENCODED = bytes.fromhex(
    "9bd0edcee5d0e07bd3bb45e99d8ede8ca3517fc6d0d37a4720a4d82f5ae10b1d"
    "e384c062ae34a15059f4b260365ef714cb9b430b3b7061f6")


def kmip_key(value, wrapped=b""):
    return (item(0x420057, 5, 2) + KMIP_ID + item(0x42008f, 1, item(
        0x420040, 1, item(0x420042, 5, 1) + value + item(0x420028, 5, 3) +
        item(0x42002a, 2, 256) + wrapped)))


def kmip_material(data):
    return item(0x420045, 1, item(0x420043, 8, data))


KMIP_WRAPPING = item(0x420046, 1, item(0x42009e, 5, 1))
KMIP_NAME = item(0x420055, 7, b"name") + item(0x420054, 5, 1)
payloads = {
    "versions": (0, 1, item(0x420069, 1, item(0x42006a, 2, 1) +
                            item(0x42006b, 2, 4)) * 3),
    "query": (1, 1, item(0x42005c, 5, 10) * 3 + item(0x420057, 5, 2) +
              item(0x42009d, 7, b"vendor")),
    "create": (2, 1, item(0x420057, 5, 2) + KMIP_ID),
    "activate": (3, 1, KMIP_ID),
    "get": (4, 1, kmip_key(kmip_material(KMIP_KEY))),
    "get-wrapped": (4, 5, kmip_key(kmip_material(KMIP_WRAPPED),
                                   KMIP_WRAPPING)),
    "get-encoded": (4, 5, kmip_key(item(0x420045, 8, KMIP_ENCODED),
                                   KMIP_WRAPPING)),
    "attributes-1": (5, 1, KMIP_ID + item(0x420008, 1, item(
        0x42000a, 7, b"State") + item(0x42000b, 5, 2)) + item(
            0x420008, 1, item(0x42000a, 7, b"Name") + item(0x420009, 2, 0) +
            item(0x42000b, 1, KMIP_NAME))),
    "attributes-2": (5, 3, KMIP_ID + item(0x420125, 1, item(
        0x42008d, 5, 2) + item(0x420053, 1, KMIP_NAME) + item(
            0x420039, 9, 5) + item(0x420120, 6, 1))),
    "locate": (6, 1, item(0x4200d5, 2, 9) + KMIP_ID * 9),
    "revoke": (7, 1, KMIP_ID),
    "destroy": (8, 1, KMIP_ID),
}
for name, (operation, mode, data) in payloads.items():
    seed("kmip", name, NONE + bytes([mode, operation]) + data)
    seed("kmip", name + "-failing", SOME + bytes([mode, operation]) + data)
KMIP_HEADER = item(0x42007a, 1, item(0x420069, 1, item(0x42006a, 2, 1) + item(
    0x42006b, 2, 4)) + item(0x420092, 9, 0) + item(0x42000d, 2, 1))
seed("kmip", "message", NONE + b"\0\3" + item(0x42007b, 1, KMIP_HEADER + item(
    0x42000f, 1, item(0x42005c, 5, 18) + item(0x420093, 8, b"AAAAAAAA") +
    item(0x42007f, 5, 0) + item(0x42007c, 1, KMIP_ID))))
seed("kmip", "refusal", NONE + b"\0\3" + item(0x42007b, 1, KMIP_HEADER + item(
    0x42000f, 1, item(0x42007f, 5, 1) + item(0x42007e, 5, 12) + item(
        0x42007d, 7, b"Permission\ndenied"))))
seed("kmip", "cut", NONE + b"\0\3" + bytes.fromhex("42007b01ffffffff42"))
