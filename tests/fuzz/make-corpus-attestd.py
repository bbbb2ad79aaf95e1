#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of fuzz-attestd into the folder given, from what
make-corpus-attest.py made of the golden boots (the folder given second:
tests/fuzz/corpus/evidence)."""
import base64
import hashlib
import json
import os
import struct
import sys

OUT, EVIDENCE = sys.argv[1:3]
NONE, SOME, FEW = bytes(4), b"\x19\1\2\3", b"\xc8\1\2\3"
(FINISH, LISTED, TRUSTED, REVOKED, ATTESTED, ENROLL,
 CERTIFIED) = (1, 2, 4, 8, 16, 32, 64)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def tpm2b(data):
    return struct.pack(">H", len(data)) + data


def take(data, at):
    n = struct.unpack_from(">H", data, at)[0]
    return data[at + 2:at + 2 + n], at + 2 + n


def seed(name, flags, attested, body):
    os.makedirs(os.path.join(OUT, "attestd"), exist_ok=True)
    data = (bytes([flags]) + bytes(32) + attested + b"\0" +
            json.dumps(body).encode())
    for suffix, failing in (("", NONE), ("-failing", SOME),
                            ("-failing-late", FEW)):
        with open(os.path.join(OUT, "attestd", name + suffix), "wb") as f:
            f.write(failing + data)


with open(os.path.join(EVIDENCE, "crb-chain"), "rb") as f:
    data = f.read()[4:]
ak, at = take(data, 0)
ek, at = take(data, at)
cert, at = take(data, at)
evidence = data[at:]
AGENT = {"port": 7890, "certificate": "-----BEGIN CERTIFICATE-----\n"}
begin = {"ek": b64(ek), "ak": b64(ak), "name": "h", "agent": AGENT,
         "ek_certificate": b64(cert), "ek_intermediates": "x"}
attested = json.dumps({
    "state": "attested", "session": 5, "since": 1, "last": 2, "ak": b64(ak),
    "clock": {"clock": 1, "resets": 0, "restarts": 0, "safe": True},
    "agent": AGENT, "address": "192.0.2.1", "evidence": "00",
    "token_expires": 9, "policy": "p"}).encode()
seed("begin", LISTED | TRUSTED, b"", begin)
seed("begin-bound", LISTED | CERTIFIED | ATTESTED, attested, begin)
seed("begin-enroll", ENROLL | CERTIFIED, b"", begin)
seed("begin-revoked", LISTED | REVOKED, b"", begin)


def session(credential, enroll):
    return b64(b"\2" + struct.pack(">Q", 999999) + bytes(32) +
               bytes([credential]) + hashlib.sha256(bytes(32)).digest() +
               tpm2b(b"h") + bytes([enroll]) + tpm2b(b"g") + tpm2b(ek) + tpm2b(ak) +
               tpm2b(cert if enroll else b"") + struct.pack(">QQ", 0, 7890) +
               tpm2b(b"x"))


# The generator of P-256 (SP 800-186, 3.2.1.3) in SubjectPublicKeyInfo.
point = bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
transport = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\4" + point
finish = {"session": session(0, 0), "transport_key": b64(transport),
          "evidence": b64(evidence)}
seed("finish", FINISH | LISTED | ATTESTED, attested, finish)
seed("finish-secret", FINISH | LISTED, b"", {
    **finish, "session": session(1, 0), "secret": b64(bytes(32))})
seed("finish-enroll", FINISH | ENROLL | CERTIFIED, b"", {
    **finish, "session": session(1, 1), "secret": b64(bytes(32))})
