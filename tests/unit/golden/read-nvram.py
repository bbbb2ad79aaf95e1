#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads an nvram file, written from doc/nvram-format.md alone.

read-nvram.py FILE passphrase WORDS | native KEYBYTE(hex)

Prints the header and the state, or fails with what did not fit. It shares no
code with vtpmd: its only cryptography is Python's hashlib and hmac, and AES
from python3-cryptography. It is a test, so secrets on its command line are
the published ones of the golden files.
"""
import hashlib
import hmac
import struct
import sys
import uuid as uuidlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SB = 12288


def kbkdf(key, label, context, length=32):
    out, i = b"", 1
    while len(out) < length:
        out += hmac.new(key, struct.pack(">I", i) + label + b"\0" + context +
                        struct.pack(">I", length * 8), hashlib.sha256).digest()
        i += 1
    return out[:length]


def aes(key, block):
    e = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return e.update(block) + e.finalize()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def xaes_open(key, nonce, aad, ciphertext, tag):
    top = int.from_bytes(aes(key, bytes(16)), "big")
    k1 = (top << 1) & ((1 << 128) - 1)
    if top >> 127:
        k1 ^= 0x87
    k1 = k1.to_bytes(16, "big")
    kx = b"".join(aes(key, xor(bytes([0, i, 0x58, 0]) + nonce[:12], k1))
                  for i in (1, 2))
    return AESGCM(kx).decrypt(nonce[12:], ciphertext + tag, aad)


def superblocks(data):
    found = []
    for at in (0, SB):
        sb = data[at:at + SB]
        if sb[:8] != b"VTPMNVSB":
            continue
        if hashlib.sha256(sb[:-32]).digest() != sb[-32:]:
            continue
        found.append((struct.unpack_from(">Q", sb, 24)[0], sb))
    if not found:
        sys.exit("no whole superblock")
    return max(found, key=lambda f: f[0])[1]


def unwrap(p, how, word, binding):
    kind, size = struct.unpack_from(">HH", p, 0)
    ident, created, label = p[8:16], p[16:24], p[24:88]
    body = p[128:128 + size]
    if kind == 1 and how == "native":
        params, purpose = body[:16], b"vtpmd native protector"
        secret = bytes([int(word, 16)]) * 32
    elif kind == 2 and how == "passphrase":
        params, purpose = body[:36], b"vtpmd passphrase protector"
        iterations = struct.unpack_from(">I", params)[0]
        secret = hashlib.pbkdf2_hmac("sha512", word.encode(), params[4:36],
                                     iterations, 32)
    elif kind == 3 and how == "authority":
        wrapped_size = struct.unpack_from(">H", body)[0]
        params, purpose = body[:2 + wrapped_size], \
            b"vtpmd authority protector"
        # What the authority gives for the wrapped key of the golden file.
        if params[2:] != b"the wrapped key of the tests":
            sys.exit("another wrapped key")
        secret = bytes([int(word, 16)]) * 32
    else:
        return None
    rest = body[len(params):]
    aad = p[0:2] + ident + created + label + binding + params
    return xaes_open(kbkdf(secret, purpose, binding + ident), rest[:24], aad,
                     rest[24:56], rest[56:72])


def slots(data, sb, dek, binding):
    slot_size = struct.unpack_from(">I", sb, 16)[0]
    epoch_max = struct.unpack_from(">Q", sb, 72)[0]
    floor, floor_tag = struct.unpack_from(">Q16s", sb, 280)
    key = kbkdf(dek, b"vtpmd nvram slot", binding)
    best = None
    for i in (0, 1):
        slot = data[2 * SB + i * slot_size:][:slot_size]
        magic, kind, index, seq, epoch, dek_id, size = struct.unpack_from(
            ">8sIIQQ16sI", slot, 0)
        nonce, tag = slot[56:80], slot[112:128]
        if magic != b"VTPMNVSL" or kind != 1 or index != i:
            continue
        if dek_id != sb[48:64] or epoch > epoch_max:
            continue
        if seq < floor or (seq == floor and tag != floor_tag):
            continue
        plain = xaes_open(key, nonce, slot[:112] + sb[32:48],
                          slot[128:128 + size], tag)
        if best is None or seq > best[0]:
            best = (seq, plain)
    return best


def main():
    path, how, word = sys.argv[1:]
    data = open(path, "rb").read()
    sb = superblocks(data)
    if struct.unpack_from(">I", sb, 8)[0] != 1:
        sys.exit("another format")
    binding = sb[32:48] + sb[48:64]
    dek = None
    for i in range(8):
        dek = dek or unwrap(sb[1024 * (i + 1):1024 * (i + 2)], how, word,
                            binding)
    if dek is None:
        sys.exit("no protector for this")
    if kbkdf(dek, b"vtpmd nvram commitment", binding) != sb[304:336]:
        sys.exit("the DEK is not the one committed to")
    xaes_open(kbkdf(dek, b"vtpmd nvram superblock", binding), sb[336:360],
              sb[:-48], b"", sb[-48:-32])
    print("uuid", uuidlib.UUID(bytes=sb[32:48]))
    print("name", sb[88:152].rstrip(b"\0").decode())
    print("epoch", struct.unpack_from(">Q", sb, 72)[0])
    print("state_version 0x%08x" % struct.unpack_from(">I", sb, 80)[0])
    sequence, plain = slots(data, sb, dek, binding)
    print("sequence", sequence)
    while plain:
        kind, size = struct.unpack_from(">II", plain)
        print("record", kind, plain[8:8 + size].decode())
        plain = plain[8 + size:]


if __name__ == "__main__":
    main()
