#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads a bundle, written from doc/bundle-format.md alone.

read-bundle.py BUNDLE KEY.pem | BUNDLE passphrase WORDS  [PREFIX]

Prints what is inside; with PREFIX writes each record to PREFIX.INDEX.KIND. Its
cryptography is python3-cryptography's, none of vtpmd's. It is a test, so the
passphrase on its command line is a published one.
"""
import hashlib
import os
import struct
import sys
import uuid

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def xaes_and_kbkdf():
    import importlib.util
    spec = importlib.util.spec_from_file_location(
        "read_nvram", os.path.join(os.path.dirname(
            os.path.abspath(__file__)), "read-nvram.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.xaes_open, module.kbkdf


xaes_open, kbkdf = xaes_and_kbkdf()


def text(b):
    return b.split(b"\0")[0].decode()


def kek_of(kind, body, ident, fingerprint, key, words):
    """The KEK and how many bytes of the body are parameters, or None."""
    if kind == 1 and words is not None:
        iterations, = struct.unpack(">I", body[:4])
        return hashlib.pbkdf2_hmac("sha512", words, body[4:36], iterations,
                                   32), 36
    if key is None or kind == 1:
        return None
    der = key.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)
    if hashlib.sha256(der).digest() != fingerprint:
        return None
    n, = struct.unpack(">H", body[:2])
    part = body[2:2 + n]
    if kind == 2:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, part)
        z = key.exchange(ec.ECDH(), peer)
        return hashlib.sha256(b"\0\0\0\1" + z + b"vtpmd bundle" + ident +
                              fingerprint + part).digest(), 2 + n
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(),
                        b"vtpmd bundle" + ident)
    return key.decrypt(part, oaep), 2 + n


def main():
    data = open(sys.argv[1], "rb").read()
    key = words = None
    if sys.argv[2] == "passphrase":
        words, rest = sys.argv[3].encode(), sys.argv[4:]
    else:
        with open(sys.argv[2], "rb") as f:
            key = serialization.load_pem_private_key(f.read(), None)
        rest = sys.argv[3:]
    magic, form, size = struct.unpack(">8sII", data[:16])
    assert magic == b"VTPMBNDL" and form == 1
    ident = data[16:32]
    n_recipients, n_vms = struct.unpack(">HH", data[108:112])
    assert size == 160 + 1280 * n_recipients + 256 * n_vms + 72
    bundle_key = None
    for i in range(n_recipients):
        r = data[160 + 1280 * i:][:1280]
        kind, n = struct.unpack(">HH", r[:4])
        body = r[128:128 + n]
        print("for", text(r[40:104]))
        found = kek_of(kind, body, ident, r[8:40], key, words)
        if found:
            kek, at = found
            assert n == at + 40
            bundle_key = keywrap.aes_key_unwrap(kek, body[at:])
    keys = {what: kbkdf(bundle_key, b"vtpmd bundle " + what, ident)
            for what in (b"manifest", b"state", b"commitment")}
    assert data[size - 72:size - 40] == keys[b"commitment"]
    xaes_open(keys[b"manifest"], data[size - 40:size - 16], data[:size - 16],
              b"", data[size - 16:size])
    at = size
    for i in range(n_vms):
        vm = data[160 + 1280 * n_recipients + 256 * i:][:256]
        epoch, = struct.unpack(">Q", vm[88:96])
        version, n = struct.unpack(">II", vm[128:136])
        print("vm", uuid.UUID(bytes=vm[:16]), text(vm[16:80]), "epoch", epoch,
              "version", hex(version))
        state = xaes_open(keys[b"state"], vm[136:160], ident +
                          struct.pack(">I", i) + vm[:16], data[at:at + n],
                          vm[160:176])
        at += n
        while state:
            kind, m = struct.unpack(">II", state[:8])
            print("  record", kind, m, hashlib.sha256(state[8:8 + m])
                  .hexdigest())
            if rest:
                with open(f"{rest[0]}.{i}.{kind}", "wb") as f:
                    f.write(state[8:8 + m])
            state = state[8 + m:]
    assert at == len(data)


main()
