#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of fuzz-kmxd-routes into the folder given: a good body for
each route, by authority-protocols.md; and what else a host may be."""
import base64
import json
import os
import sys

OUT = os.path.join(sys.argv[1], "kmxd-routes")
VM = "00000000-0000-0000-0000-000000000001"
D, I = "aa" * 32, "11" * 16
W = base64.urlsafe_b64encode(b"\1\0\0\0\1" + bytes(88)).rstrip(b"=").decode()
OPEN = {"epoch": 2, "confirmed": True, "clean": False, "digest": D,
        "synced": False, "owner": {"host": "h", "instance": I,
                                   "lease_until": 1 << 33}}
CLEAN = {"epoch": 1, "confirmed": True, "clean": True, "digest": D,
         "synced": True}
S = "5e" * 16
OFFER = {"host": "h", "instance": I, "session": S, "epoch": 2, "digest": D,
         "open": True, "synced": True, "at": 1}
OFFERED = {**{k: v for k, v in OPEN.items() if k != "digest"},
           "offer": OFFER}
OTHERS = {**OFFERED, "owner": {**OPEN["owner"], "host": "o"},
          "offer": {**OFFER, "host": "o"}}
# In the order of the service's tables.
BODIES = [
    ("create", {"vm": VM, "name": "n", "group": "g"}), ("forget", None),
    ("make", {"new_kek": False}), ("open", {"wrapped": W}),
    ("rewrap", {"vm": VM, "wrapped": W}), ("prefetch", None),
    ("register", {"epoch": 1, "digest": D, "synced": True}),
    ("acquire", {"epoch": 1, "digest": D, "instance": I, "ended": I}),
    ("confirm", {"epoch": 2, "instance": I}),
    ("release", {"epoch": 2, "digest": D, "instance": I, "synced": True}),
    ("check", {"epoch": 1, "digest": D}),
    ("leases", {"vms": [{"vm": VM, "epoch": 2, "instance": I}]}),
    ("offer", {"epoch": 2, "digest": D, "instance": I, "session": S,
               "synced": True}),
    ("claim", {"epoch": 2, "instance": I, "session": S}),
    ("reclaim", {"epoch": 2, "instance": I, "session": S}),
    ("list", None), ("show", None),
    ("grants", {"groups": ["g", "o"], "needs_trust": False}),
    ("fence", {"reason": "r"}), ("accept", {"reason": "r"}),
    ("shred", {"name": "n"}), ("retire", {})]


def seed(name, flags, which, epoch, body, failing=bytes(4)):
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(failing + bytes([flags, which]) + json.dumps(epoch).encode() +
                b"\0" + (b"" if body is None else json.dumps(body).encode()))


os.makedirs(OUT, exist_ok=True)
for i, (what, good) in enumerate(BODIES):
    record = (CLEAN if what in ("acquire", "check", "create") else
              OTHERS if what == "claim" else
              OFFERED if what == "reclaim" else OPEN)
    seed(what, 0, i, record, good)
    seed(what + "-failing", 0, i, record, good, b"\x19\1\2\3")
for i, flag in enumerate(("untrusted", "other-group", "shredded", "revoked",
                          "no-vm", "refused")):
    for n, record in ((3, CLEAN), (7, CLEAN), (13, OTHERS), (14, OFFERED)):
        seed(BODIES[n][0] + "-" + flag, 1 << i, n, record, BODIES[n][1])
