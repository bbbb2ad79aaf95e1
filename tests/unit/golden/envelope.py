#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads and makes sealed state blobs, written from doc/migration-format.md
alone; the file's DEK is read-nvram.py's work.

envelope.py make OUT                    the golden one
envelope.py read NVRAM WORDS BLOB OUT   says what a blob is, OUT: the state
"""
import hashlib
import hmac
import importlib.util
import os
import struct
import sys
import uuid as uuidlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

spec = importlib.util.spec_from_file_location(
    "read_nvram", os.path.join(os.path.dirname(os.path.abspath(__file__)),
                               "read-nvram.py"))
nvram = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(nvram)

HEAD = ">8sI16sII16sQQQII32sI"


def xaes_seal(key, nonce, aad, plain):
    top = int.from_bytes(nvram.aes(key, bytes(16)), "big")
    k1 = (top << 1) & ((1 << 128) - 1)
    if top >> 127:
        k1 ^= 0x87
    k1 = k1.to_bytes(16, "big")
    kx = b"".join(nvram.aes(key, nvram.xor(
        bytes([0, i, 0x58, 0]) + nonce[:12], k1)) for i in (1, 2))
    return AESGCM(kx).encrypt(nonce[12:], plain, aad)


def wrap_aad(uuid, session, kind, ident, params):
    return (uuid + session + struct.pack(">H", kind) + ident +
            struct.pack(">H", len(params)) + params)


def state_key(key, uuid, session, kind):
    return nvram.kbkdf(key, b"vtpmd envelope state",
                       uuid + session + struct.pack(">I", kind))


def commitment(key, session):
    return nvram.kbkdf(key, b"vtpmd envelope commitment", session)


def make(out):
    """With the keys that tests/unit/test-envelope.c knows."""
    uuid = uuidlib.UUID("11223344-5566-4788-89aa-bbccddeeff01").bytes
    session, key = b"golden session 1", hashlib.sha256(b"one-time").digest()
    text = b"the permanent state of a TPM, or so\0"
    ident, nonce = b"\x08" * 16, b"wrapped with this nonce."
    head = struct.pack(HEAD, b"VTPMBLOB", 1, uuid, 2, 6, session, 2, 41,
                       1700000000, 0x000902, len(text),
                       commitment(key, session), 1)
    head += struct.pack(">HH", 1, 0) + ident + nonce + xaes_seal(
        b"\x07" * 32, nonce, wrap_aad(uuid, session, 1, ident, b""), key)
    nonce = b"sealed with another one."
    head += nonce
    with open(out, "wb") as f:
        f.write(head + xaes_seal(state_key(key, uuid, session, 2), nonce,
                                 head, text))


def file_key(path, words):
    with open(path, "rb") as f:
        sb = nvram.superblocks(f.read())
    uuid, dek_id = sb[32:48], sb[48:64]
    for i in range(8):
        dek = nvram.unwrap(sb[1024 * (i + 1):1024 * (i + 2)], "passphrase",
                           words, uuid + dek_id)
        if dek:
            return uuid, dek_id, nvram.kbkdf(
                dek, b"vtpmd envelope file key", uuid)
    sys.exit("no passphrase opens the file")


def read(path, words, blob, out):
    uuid, dek_id, kek = file_key(path, words)
    with open(blob, "rb") as f:
        data = f.read()
    (magic, version, theirs, kind, members, session, sequence, _epoch, _made,
     libtpms, size, committed, n) = struct.unpack_from(HEAD, data)
    if (magic, version, theirs) != (b"VTPMBLOB", 1, uuid):
        sys.exit("not a blob of this VM")
    at, key = struct.calcsize(HEAD), None
    for _ in range(n):
        protector, params_size = struct.unpack_from(">HH", data, at)
        ident = data[at + 4:at + 20]
        params = data[at + 20:at + 20 + params_size]
        at += 20 + params_size
        if protector == 1 and ident == dek_id:
            key = nvram.xaes_open(
                kek, data[at:at + 24],
                wrap_aad(uuid, session, protector, ident, params),
                data[at + 24:at + 56], data[at + 56:at + 72])
        at += 72
    if key is None or not hmac.compare_digest(
            commitment(key, session), committed):
        sys.exit("sealed under another key")
    nonce, at = data[at:at + 24], at + 24
    state = nvram.xaes_open(state_key(key, uuid, session, kind), nonce,
                            data[:at], data[at:at + size], data[at + size:])
    with open(out, "wb") as f:
        f.write(state)
    print(f"kind {kind} members {members} sequence {sequence} libtpms "
          f"{libtpms >> 16}.{libtpms >> 8 & 255} size {size} "
          f"more {len(data) - size}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(*sys.argv[2:])
    else:
        read(*sys.argv[2:])
