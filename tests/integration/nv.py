# SPDX-License-Identifier: BSD-3-Clause
"""TPM commands whose effects a test keeps account of (TPM 2.0 Part 3)."""
import hashlib
import struct

import wire

RETRY, FAILURE, INITIALIZE = 0x922, 0x101, 0x100
NV_UNAVAILABLE = 0x923
OWNER = struct.pack(">I", 0x40000001)


def extend(old, digest):
    """What PCR_Extend makes of a PCR."""
    return hashlib.sha256(old + digest).digest()


def nv_define(d, index, attributes, size):
    public = struct.pack(">IHIHH", index, 0x000b, attributes, 0, size)
    return d.run(0x12a, OWNER + wire.password() + struct.pack(">H", 0) +
                 struct.pack(">H", len(public)) + public, 0x8002)[0]


def counter_define(d, index):
    """TPM_NT_COUNTER; owner and authorisation read and write, no DA."""
    return nv_define(d, index, 0x02000000 | 0x00060006 | 0x10, 8)


def increment(d, index):
    return d.run(0x134, OWNER + struct.pack(">I", index) + wire.password(),
                 0x8002)[0]


def nv_read(d, index, size):
    rc, body = d.run(0x14e, OWNER + struct.pack(">I", index) +
                     wire.password() + struct.pack(">HH", size, 0), 0x8002)
    return (rc, body[6:6 + size]) if rc == 0 else (rc, None)


def counter(d, index):
    rc, data = nv_read(d, index, 8)
    return (rc, struct.unpack(">Q", data)[0]) if rc == 0 else (rc, None)


def data_define(d, index, size):
    """An ordinary index."""
    return nv_define(d, index, 0x02000000 | 0x00060006, size)


def nv_write(d, index, data):
    return d.run(0x137, OWNER + struct.pack(">I", index) + wire.password() +
                 struct.pack(">H", len(data)) + data + struct.pack(">H", 0),
                 0x8002)[0]


def chain_define(d, index):
    """TPM_NT_EXTEND: each extend hashes what is there and what is new."""
    return nv_define(d, index, 0x02000000 | 0x00060006 | 0x40, 32)


def nv_extend(d, index, data):
    return d.run(0x136, OWNER + struct.pack(">I", index) + wire.password() +
                 struct.pack(">H", len(data)) + data, 0x8002)[0]


def hmac_key(d):
    """A transient HMAC key with authorisation 'k' and no DA protection."""
    public = (struct.pack(">HHIH", 0x0008, 0x000b, 0x00040472, 0) +
              struct.pack(">HHH", 0x0005, 0x000b, 0))
    sensitive = struct.pack(">H", 1) + b"k" + struct.pack(">H", 0)
    rc, out = d.run(0x131, OWNER + wire.password() +
                    struct.pack(">H", len(sensitive)) + sensitive +
                    struct.pack(">H", len(public)) + public +
                    struct.pack(">HI", 0, 0), 0x8002)
    if rc:
        raise RuntimeError(f"CreatePrimary: 0x{rc:x}")
    return out[:4]


def hmac(d, key, data):
    rc, out = d.run(0x155, key + wire.password(b"k") +
                    struct.pack(">H", len(data)) + data +
                    struct.pack(">H", 0x000b), 0x8002)
    return rc, out[6:6 + 32]
