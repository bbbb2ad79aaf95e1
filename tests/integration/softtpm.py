# SPDX-License-Identifier: BSD-3-Clause
"""A TPM of a few lines, for a thousand hosts at once: an EK and an AK on P-256,
TPM2_ActivateCredential and TPM2_Quote, by python3-cryptography from the TPM 2.0
specification (Part 1, 24 and annex C; Part 2, 10.12 and 12.2)."""
import base64
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SHA256, ECC, AES, CFB, NULL, ECDSA, P256 = (0x0b, 0x23, 0x06, 0x43, 0x10, 0x18,
                                            0x03)
EK_ATTRIBUTES, AK_ATTRIBUTES = 0x000300b2, 0x00050472
ENDORSEMENT = struct.pack(">I", 0x4000000b)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sized(data):
    return struct.pack(">H", len(data)) + data


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def point(key):
    n = key.public_key().public_numbers()
    return n.x.to_bytes(32, "big"), n.y.to_bytes(32, "big")


def public(key, attributes, symmetric, scheme):
    x, y = point(key)
    return (struct.pack(">HHI", ECC, SHA256, attributes) + sized(b"") +
            symmetric + scheme + struct.pack(">HH", P256, NULL) + sized(x) +
            sized(y))


def name(area):
    return struct.pack(">H", SHA256) + sha256(area)


def kdf_a(key, label, context, bits):
    """SP 800-108 in counter mode, of one block."""
    return hmac.digest(key, struct.pack(">I", 1) + label + b"\0" + context +
                       struct.pack(">I", bits), "sha256")[:bits // 8]


class Tpm:
    """Its PCRs are all zero, but those of `pcrs` {number: value}."""

    def __init__(self, pcrs=None):
        self.ek_key = ec.generate_private_key(ec.SECP256R1())
        self.ak_key = ec.generate_private_key(ec.SECP256R1())
        self.ek = public(self.ek_key, EK_ATTRIBUTES,
                         struct.pack(">HHH", AES, 128, CFB),
                         struct.pack(">H", NULL))
        self.ak = public(self.ak_key, AK_ATTRIBUTES, struct.pack(">H", NULL),
                         struct.pack(">HH", ECDSA, SHA256))
        self.pcrs = pcrs or {}
        self.clock = 1000

    def activate(self, blob, secret):
        """What the credential hides: TPM2B_ID_OBJECT and the encrypted
        secret."""
        x_size, = struct.unpack_from(">H", secret, 2)
        x = secret[4:4 + x_size]
        y = secret[6 + x_size:]
        peer = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"),
            ec.SECP256R1()).public_key()
        z = self.ek_key.exchange(ec.ECDH(), peer)
        seed = sha256(struct.pack(">I", 1), z, b"IDENTITY\0", x,
                      point(self.ek_key)[0])
        integrity, hidden = blob[4:36], blob[36:]
        mine = name(self.ak)
        key = kdf_a(seed, b"INTEGRITY", b"", 256)
        assert hmac.compare_digest(
            hmac.digest(key, hidden + mine, "sha256"), integrity)
        c = Cipher(algorithms.AES(kdf_a(seed, b"STORAGE", mine, 128)),
                   modes.CFB(bytes(16))).decryptor()
        plain = c.update(hidden)
        return plain[2:2 + struct.unpack(">H", plain[:2])[0]]

    def quote(self, qualifying, selection):
        """(attest, signature, PCR values) of "sha256:0,1,..."."""
        bank, numbers = selection.split(":")
        assert bank == "sha256"
        numbers = sorted(map(int, numbers.split(",")))
        mask = sum(1 << n for n in numbers)
        values = b"".join(self.pcrs.get(n, bytes(32)) for n in numbers)
        self.clock += 10
        parent = struct.pack(">H", SHA256) + sha256(ENDORSEMENT,
                                                    name(self.ek))
        signer = struct.pack(">H", SHA256) + sha256(parent, name(self.ak))
        attest = (struct.pack(">IH", 0xff544347, 0x8018) + sized(signer) +
                  sized(qualifying) +
                  struct.pack(">QIIB", self.clock, 1, 0, 1) +
                  struct.pack(">Q", 1) + struct.pack(">IHB", 1, SHA256, 3) +
                  mask.to_bytes(3, "little") + sized(sha256(values)))
        r, s = utils.decode_dss_signature(self.ak_key.sign(
            attest, ec.ECDSA(hashes.SHA256())))
        signature = struct.pack(">HH", ECDSA, SHA256) + sized(
            r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))
        return attest, signature, values


class Host:
    """What its agent sends; the bodies are doc/authority-protocols.md's."""

    def __init__(self, host_name, pcrs=None):
        self.name, self.tpm = host_name, Tpm(pcrs)
        self.transport = ec.generate_private_key(ec.SECP256R1())
        self.transport_der = self.transport.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo)

    def begin(self):
        return {"ek": b64(self.tpm.ek), "ak": b64(self.tpm.ak),
                "name": self.name}

    def finish(self, begun):
        body = {"session": begun["session"],
                "transport_key": b64(self.transport_der)}
        if "credential" in begun:
            c = begun["credential"]
            body["secret"] = b64(self.tpm.activate(unb64(c["blob"]),
                                                   unb64(c["secret"])))
        parts = self.tpm.quote(sha256(
            b"vta-quote-1\0", sized(unb64(begun["nonce"])),
            sized(self.transport_der)), begun["pcrs"])
        body["evidence"] = b64(b"VTAEVID1" + b"".join(
            struct.pack(">HI", i + 1, len(p)) + p
            for i, p in enumerate(parts)))
        return body
