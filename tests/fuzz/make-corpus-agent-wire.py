#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of fuzz-agent-wire into the folder given: each answer and
notice of doc/authority-protocols.md, "The agent's socket"."""
import os
import struct
import sys

OUT = os.path.join(sys.argv[1], "agent-wire")
WATCHED, RIGHT_IDS, MORE = 0x10, 0x20, 0x40
UUID = b"\x77" + bytes(15)


def blob(data):
    return struct.pack(">H", len(data)) + data


def answer(kind, fields, result=0, ident=0):
    return struct.pack(">HHIi", kind | 0x8000, 0, ident, result) + fields


def seed(name, what, *messages, failing=bytes(4)):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(failing + bytes([what]) +
                b"".join(blob(m) for m in messages))


hello = answer(1, struct.pack(">H", 1) + blob(b"a") + blob(b"attested"))
refused = struct.pack(">B", 2) + blob(b"boot.efi is not approved")
lost = struct.pack(">HHI", 0x4001, 0, 0) + UUID + \
    struct.pack(">QB", 5, 5) + blob(b"fenced")
answers = {
    2: b"", 3: blob(b"W" * 100) + b"K" * 32 + blob(b"authority a"),
    4: b"K" * 32, 6: struct.pack(">QBI", 6, 1, 60), 7: b"", 9: b"",
    10: b"\0", 12: b"\1" + blob(b"DER") + b"\1" + blob(b"CA"),
    13: blob(b"{}"), 16: b"", 17: struct.pack(">QBI", 6, 1, 60),
    18: struct.pack(">QBI", 6, 0, 60),
}
for kind, fields in answers.items():
    asked = RIGHT_IDS | (kind if kind < 16 else MORE | (kind - 16))
    seed(f"answer-{kind}", asked, hello, answer(kind, fields))
    seed(f"refused-{kind}", asked, hello,
         answer(kind, refused, -16))
    # Once more as a message alone, for the codec.
    with open(os.path.join(OUT, f"message-{kind}"), "wb") as f:
        f.write(answer(kind, fields))
seed("failing", RIGHT_IDS | 4, hello, answer(4, b"K" * 32),
     failing=b"\x19\1\2\3")
seed("lost", WATCHED | RIGHT_IDS | 7, hello, lost, answer(7, b""), lost)
seed("attach-lost", WATCHED | 7, hello, answer(10, b"\5" + blob(b"gone"),
                                               ident=2), lost)
seed("other-id", 4, hello, answer(4, b"K" * 32, ident=99))
seed("other-version", RIGHT_IDS | 4, answer(1, struct.pack(">H", 9) +
                                            blob(b"") + blob(b"")))
seed("cut", RIGHT_IDS | 4, hello, answer(4, b"K" * 31))
seed("long", RIGHT_IDS | 4, hello, answer(4, b"K" * 33))
seed("none", 4)
with open(os.path.join(OUT, "message-lost"), "wb") as f:
    f.write(lost)
