# SPDX-License-Identifier: BSD-3-Clause
"""VMs that move between the hosts of an authoritylab.Lab, by the control channel
as QEMU uses it; between each host's vtpmds and its agent an agentrelay.Relay."""
import os
import struct

import agentrelay
import nv
import wire

INDEX, LEASE = 0x01500007, 6
SEALED = 2                      # PTM_STATE_FLAG_ENCRYPTED
OK = [0, 0, 0]                  # SET permanent, SET volatile, INIT
# libtpms/tpm_error.h, as numbers of the control channel
FAIL, IOERROR, BAD_MIGRATION, RETRY = 9, 0x1f, 0x29, 0x800
CONFIG = {"kmxd": f"[leases]\nseconds = {LEASE}\nskew_seconds = 0\n"
                  "[keys]\nkek_seconds = 1\n"}


class Move:
    """A relay in front of each host's agent, and the two sides of a VM."""

    def __init__(self, lab):
        self.lab = lab
        self.relays = {}
        for h in lab.hosts:
            self.add(h)
        self.count = 0

    def add(self, host):
        path = host.dir + "/relay.sock"
        self.relays[host] = agentrelay.Relay(path, host.socket)
        with open(host.conf, "w", encoding="utf-8") as f:
            f.write(f"[authority]\nsocket = {path}\n")

    def start(self, host, file, *options, wait=True):
        return self.lab.vms.start(
            file, "--config", host.conf, *options, wait=wait,
            env={**os.environ, "VTPMD_STATE_DIR": host.state})

    def vm(self, host):
        """A VM that runs there, with an index: (name, file, vtpmd, channels)."""
        self.count += 1
        name = f"vm{self.count}"
        code, text, file = self.lab.create(host, name)
        if code:
            raise RuntimeError(text)
        d = self.start(host, file)
        c, t = d.tpm()
        nv.data_define(t, INDEX, 8)
        nv.nv_write(t, INDEX, b"begun   ")
        return name, file, d, c, t

    def show(self, name):
        return self.lab.must("vm", "show", name)


def blobs_of(c):
    """(result, {kind: blob}) of what QEMU fetches."""
    got = {}
    for kind in (1, 2, 3):
        res, _, _, blob = c.get_blob(kind)
        if res:
            return res, got
        got[kind] = blob
    return 0, got


def bring(d, blobs, order=(1, 2)):
    """A connection, the results up to the first failure, the TPM's channel."""
    c = d.connect()
    _, t = c.datafd()
    c.result(wire.STOP)
    out = []
    for kind in order:
        out.append(c.set_blob(kind, blobs[kind], SEALED))
        if out[-1]:
            return c, out, t
    return c, out + [c.init(1)], t


def lock(c, retries=100):
    return c.result(wire.LOCK_STORAGE, struct.pack(">I", retries))


def write(t, what):
    return nv.nv_write(t, INDEX, what.encode().ljust(8))


def read(t):
    rc, data = nv.nv_read(t, INDEX, 8)
    return data.decode().strip() if rc == 0 else hex(rc)
