#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of fuzz-bundle into the folder given: the golden bundle, ours
whole and changed, swtpm's blobs in both of its backends."""
import hashlib
import hmac
import os
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

OUT = os.path.join(sys.argv[1], "bundle")
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "..", "unit", "golden")
RAW, CHANGED, BLOB, ENCRYPTED, LINEAR, BACK = range(6)


def seed(name, mode, data, failing=bytes(4)):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(failing + bytes([mode]) + data)


def section(tag, data):
    return struct.pack(">HI", tag, len(data)) + data


def blob(flags, *sections):
    body = b"".join(sections)
    return struct.pack(">BBHHI", 2, 1, 10, flags, 10 + len(body)) + body


def encrypted(size, state, words=b"correct horse"):
    key, iv = hashlib.sha512(words).digest()[:size], bytes(range(size))
    pad = size - len(state) % size
    e = Cipher(algorithms.AES(key), modes.CBC(iv[:16])).encryptor()
    c = e.update(state + bytes([pad]) * pad) + e.finalize()
    mac = hmac.new(key, c + iv, hashlib.sha256).digest()
    return blob(1 | (8 if size == 32 else 0), section(2, c), section(3, mac),
                section(6, iv))


plain = blob(0, section(1, b"\0\3\xab\x36\x47\x23\0\3 and so on"))
with open(os.path.join(GOLDEN, "bundle-1.bin"), "rb") as f:
    seed("golden", RAW, f.read())
seed("whole", CHANGED, b"")
seed("whole-failing", CHANGED, b"", b"\7abc")
seed("cut", CHANGED, struct.pack(">H", 9))
for at in (12, 108, 110, 160, 162, 288, 300, 1440, 1572, 1600, 1700):
    seed(f"changed-{at}", CHANGED, struct.pack(">HHB", 0, at, 1))
seed("plain", BLOB, plain)
seed("plain-failing", BLOB, plain, b"\5abc")
seed("length", BLOB, plain[:12] + b"\xff\xff\xff\xff" + plain[16:])
for size in (16, 32):
    seed(f"encrypted-{size}", ENCRYPTED, encrypted(size, b"a state" * 9))
    seed(f"encrypted-{size}-failing", ENCRYPTED, encrypted(size, b"a state"),
         b"\x09abc")
header = struct.pack("<QBBH", 0x737774706d6c696e, 1, 0, 192)
seed("linear", LINEAR, header + struct.pack("<6I", 192, len(plain), 64,
                                            256, len(plain), 64) +
     bytes(156) + plain.ljust(64, b"\0") + plain)
seed("linear-offset", LINEAR, header + struct.pack(
    "<3I", 0xffffffff, 64, 64) + bytes(168))
seed("back", BACK, b"x" * 33)
seed("back-failing", BACK, b"x" * 16, b"\6abc")
