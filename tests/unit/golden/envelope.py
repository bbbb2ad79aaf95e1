#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads and makes sealed state blobs, written from doc/migration-format.md
alone; the file's DEK is read-nvram.py's work.

envelope.py make OUT                    the golden one, of version 1
envelope.py make2 OUT                   that of version 2, for other hosts
envelope.py table STATE_DIR             the ids of its migration keys
envelope.py receive STATE_DIR BLOB OUT  opens what is for the host of STATE_DIR
envelope.py read NVRAM WORDS BLOB OUT   says what a blob is, OUT: the state
"""
import hashlib
import hmac
import importlib.util
import os
import struct
import sys
import uuid as uuidlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
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


# -- for other hosts -------------------------------------------------------------
def private_key(number):
    return ec.derive_private_key(number, ec.SECP256R1())


def public_key(point):
    return ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), b"\4" + point)


def point_of(key):
    """x and y of a public key."""
    return key.public_bytes(serialization.Encoding.X962,
                            serialization.PublicFormat.UncompressedPoint)[1:]


def key_id(point):
    return hashlib.sha256(public_key(point).public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)).digest()[:16]


def recipient_key(ze, zs, uuid, *points):
    """points: ephemeral, sender's, recipient's."""
    return hashlib.sha256(struct.pack(">I", 1) + ze + zs +
                          b"vtpmd envelope recipient" + uuid +
                          b"".join(points)).digest()


def make2(out):
    """From host 2 to hosts 3 and 4, whose private keys are these numbers; the
    file's key as in make()."""
    uuid = uuidlib.UUID("11223344-5566-4788-89aa-bbccddeeff01").bytes
    session, key = b"golden session 2", hashlib.sha256(b"another").digest()
    text = b"the permanent state of a TPM, or so\0"
    plain = b"\4name" + text
    own, ephemeral = private_key(2), private_key(5)
    sender, eph = point_of(own.public_key()), point_of(ephemeral.public_key())
    wrapped = [(1, b"\x08" * 16, b"", b"\x07" * 32)]
    for i, number in enumerate((3, 4)):
        to = private_key(number).public_key()
        wrapped.append((2, key_id(point_of(to)),
                        b"" if i else eph + key_id(sender)[:8],
                        recipient_key(ephemeral.exchange(ec.ECDH(), to),
                                      own.exchange(ec.ECDH(), to), uuid, eph,
                                      sender, point_of(to))))
    head = struct.pack(HEAD, b"VTPMBLOB", 2, uuid, 1, 6, session, 1, 42,
                       1700000000, 0x000902, len(plain),
                       commitment(key, session), len(wrapped))
    for kind, ident, params, kek in wrapped:
        nonce = hashlib.sha256(ident).digest()[:24]
        head += struct.pack(">HH", kind, len(params)) + ident + params
        head += nonce + xaes_seal(kek, nonce, wrap_aad(
            uuid, session, kind, ident, params), key)
    nonce = b"sealed with a third one."
    head += nonce
    with open(out, "wb") as f:
        f.write(head + xaes_seal(state_key(key, uuid, session, 1), nonce,
                                 head, plain))


def table(state_dir):
    """(private key or None, [points of trusted hosts]) of a host whose native
    key is a file."""
    with open(os.path.join(state_dir, "native", "key"), "rb") as f:
        native = f.read()
    with open(os.path.join(state_dir, "native", "migrate"), "rb") as f:
        areas = f.read()
    key = nvram.kbkdf(native[32:64], b"vtpmd migration keys", native[12:28])
    found = None
    for at in range(0, len(areas), 8192):
        area = areas[at:at + 8192]
        magic, version, generation = struct.unpack_from(">8sIQ", area)
        if (magic, version) != (b"VTPMMKEY", 1) or (
                found and found[0] > generation):
            continue
        plain = nvram.xaes_open(key, area[20:44], area[:20], area[44:-16],
                                area[-16:])
        if plain:
            found = generation, plain
    if not found:
        sys.exit("no area opens")
    has_key, _made, d, point, n = struct.unpack_from(">IQ32s64sI", found[1])
    own = private_key(int.from_bytes(d, "big")) if has_key else None
    if own and point_of(own.public_key()) != point:
        sys.exit("the private key is not the public one's")
    return own, [found[1][112 + 152 * i:112 + 152 * i + 64]
                 for i in range(n)]


def receive(state_dir, blob, out):
    own, peers = table(state_dir)
    ours = point_of(own.public_key())
    with open(blob, "rb") as f:
        data = f.read()
    head = struct.unpack_from(HEAD, data)
    uuid, kind, session, size, committed, n = (head[2], head[3], head[5],
                                               head[10], head[11], head[12])
    at, key, shared = struct.calcsize(HEAD), None, b""
    for _ in range(n):
        protector, params_size = struct.unpack_from(">HH", data, at)
        ident = data[at + 4:at + 20]
        params = data[at + 20:at + 20 + params_size]
        at += 20 + params_size
        if protector == 2:
            shared = params or shared
        if protector == 2 and ident == key_id(ours):
            sender = [p for p in peers if key_id(p)[:8] == shared[64:72]][0]
            kek = recipient_key(
                own.exchange(ec.ECDH(), public_key(shared[:64])),
                own.exchange(ec.ECDH(), public_key(sender)), uuid,
                shared[:64], sender, ours)
            key = nvram.xaes_open(
                kek, data[at:at + 24],
                wrap_aad(uuid, session, protector, ident, params),
                data[at + 24:at + 56], data[at + 56:at + 72])
        at += 72
    if key is None or commitment(key, session) != committed:
        sys.exit("not for this host")
    nonce, at = data[at:at + 24], at + 24
    plain = nvram.xaes_open(state_key(key, uuid, session, kind), nonce,
                            data[:at], data[at:at + size], data[at + size:])
    with open(out, "wb") as f:
        f.write(plain[1 + plain[0]:])
    print(f"version {head[1]} kind {kind} name {plain[1:1 + plain[0]].decode()}"
          f" more {len(data) - size + 1 + plain[0]}")


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
    elif sys.argv[1:2] == ["make2"]:
        make2(*sys.argv[2:])
    elif sys.argv[1:2] == ["table"]:
        private, trusted = table(*sys.argv[2:])
        print(" ".join(key_id(p).hex() for p in (
            [point_of(private.public_key())] if private else []) + trusted))
    elif sys.argv[1:2] == ["receive"]:
        receive(*sys.argv[2:])
    else:
        read(*sys.argv[2:])
