#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of the targets in attest.am into the folder given, from the
golden boots in the folder given second (tests/unit/golden/attest)."""
import hashlib
import json
import os
import struct
import sys

OUT, GOLDEN = sys.argv[1:3]
NONE = bytes(4)              # nothing fails
SOME = b"\x19\1\2\3"         # one call in 25


def golden(boot, name):
    with open(os.path.join(GOLDEN, boot, name), "rb") as f:
        return f.read()


def seed(target, name, data):
    os.makedirs(os.path.join(OUT, target), exist_ok=True)
    for suffix, failing in (("", NONE), ("-failing", SOME)):
        with open(os.path.join(OUT, target, name + suffix), "wb") as f:
            f.write(failing + data)


for boot in ("crb-chain", "tis-off"):
    seed("eventlog", boot, golden(boot, "eventlog"))
seed("eventlog", "header-lists-too-much",
     golden("tis-off", "eventlog")[:56] + b"\xff" * 12)
for boot in ("crb-chain", "tis-kernel", "crb-ima1"):
    seed("ima-log", boot, b"\0" + golden(boot, "ima"))
seed("ima-log", "empty", b"\0")
seed("ima-log", "padded", b"\1" + golden("tis-off", "ima"))


def section(kind, data):
    return struct.pack(">HI", kind, len(data)) + data


def quoted_pcr10(boot, bank):
    """Of all entries but the last, which came after the quote."""
    log, at, digests = golden(boot, "ima"), 0, []
    size = hashlib.new(bank).digest_size
    while at < len(log):
        sha1 = log[at + 4:at + 24]
        name = struct.unpack_from("<I", log, at + 24)[0]
        data = at + 28 + name + 4
        n = struct.unpack_from("<I", log, data - 4)[0]
        # Debian's kernel has no SHA-384 when IMA begins.
        digests.append(sha1.ljust(size, b"\0") if bank == "sha384" else
                       hashlib.new(bank, log[data:data + n]).digest())
        at = data + n
    pcr = bytes(size)
    for digest in digests[:-1]:
        pcr = hashlib.new(bank, pcr + digest).digest()
    return pcr


BANK = {"crb-chain": "sha256", "tis-off": "sha384"}
for boot, bank in BANK.items():
    values = b"".join(
        quoted_pcr10(boot, bank) if line.split()[1] == "10" else
        bytes.fromhex(line.split()[2])
        for line in golden(boot, "pcrs").decode().splitlines()
        if line.split()[0] == bank and int(line.split()[1]) < 15)
    cert = golden(boot, "ek.crt")
    # The quote's qualifying data are zeros for the target.
    quote = golden(boot, "quote.msg").replace(
        bytes.fromhex("00112233445566778899aabbccddeeff" * 2), bytes(32))
    seed("evidence", boot,
         golden(boot, "ak.pub") + golden(boot, "ek.pub") +
         struct.pack(">H", len(cert)) + cert + b"VTAEVID1" +
         section(1, quote) + section(2, golden(boot, "quote.sig")) +
         section(3, values) + section(4, golden(boot, "eventlog")) +
         section(5, golden(boot, "ima")))

ZERO = "00" * 32
seed("policy", "all", json.dumps({
    "format": 1, "name": "n", "description": "d", "bank": "sha256",
    "pcrs": {"0": [ZERO]},
    "event_log": {
        "pcrs": [0, 7],
        "secure_boot": {"PK": [ZERO], "KEK": [], "db": [], "dbx": [],
                        "authorities": [ZERO]},
        "boot_drivers": [], "partition_tables": [],
        "boot_applications": [
            {"name": "shim", "digest": ZERO, "required": True}],
        "boot_files": [], "machine_owner_keys": [],
        "kernel_command_lines": ["/vmlinuz root=UUID=* ro"],
        "boot_commands": ["boot"], "actions": ["a"]},
    "ima": {"extend": "sha1-padded", "allow_violations": True,
            "boot_aggregate": False, "digests": ["sha256:" + "11" * 32]},
    "tpm": {"firmware": ["0000000000000001"], "clock_safe": True,
            "allow_resets": False, "allow_restarts": True}}).encode())
seed("policy", "pattern", b"a* b*c d\naX bYc d")
