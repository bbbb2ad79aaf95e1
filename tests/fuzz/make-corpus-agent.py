#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of fuzz-agent into the folder given: files that the agent
made with swtpm, whole and with a length changed."""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "integration"))
import hosttpm  # noqa: E402

OUT = os.path.join(sys.argv[1], "agent")
VM = "12345678-1234-4234-8234-123456789012"
AK, SEALED, LIST = range(3)


def seed(name, kind, data, failing=bytes(4)):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(failing + bytes([kind]) + data)


def content(path):
    with open(path, "rb") as f:
        return f.read()


place = tempfile.mkdtemp(prefix="vtpmd-test.")
try:
    host = hosttpm.Host(place, "host")
    for ek, ak in (("p384", "ecdsa"), ("rsa2048", "rsassa")):
        host.ek = ek
        state = host.path(ek)
        host.agent("identity", host.ids, options=("-a", ak), state=state)
        host.agent("seal", VM, 5, "sha256:0,7+sha384:1", data=b"k" * 32,
                   state=state)
        key, sealed = content(state + "/ak"), content(state + "/keys/" + VM)
        seed("ak-" + ek, AK, key)
        seed("ak-failing-" + ek, AK, key, b"\x03\1\2\3")
        seed("ak-cut-" + ek, AK, key[:-20])
        seed("ak-ek-name-" + ek, AK, key[:8] + b"\0\4p521" + key[10 + key[9]:])
        seed("sealed-" + ek, SEALED, sealed)
        seed("sealed-failing-" + ek, SEALED, sealed, b"\x03\1\2\3")
        seed("sealed-cut-" + ek, SEALED, sealed[:100])
        seed("sealed-long-" + ek, SEALED, sealed + b"\0")
finally:
    hosttpm.stop_all()
    shutil.rmtree(place, ignore_errors=True)
seed("list", LIST, b"sha256:0,1,7+sha384:23")
seed("list-bad", LIST, b"sha256:0,1,24+sha1:")
