#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tpm2-tools on a running vtpmd, without QEMU between them.

tpm-bridge.py serve CTRL SOCKET: powers on the TPM of the vtpmd whose control
socket is CTRL, starts it, and passes commands from clients of SOCKET to it.
tpm-bridge.py pipe SOCKET: such a client on stdin and stdout, for
TPM2TOOLS_TCTI="cmd:tpm-bridge.py pipe SOCKET".
"""
import os
import socket
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def packet(read):
    """One command or response, or nothing at the end."""
    head = b""
    while len(head) < 10:
        part = read(10 - len(head))
        if not part:
            return b""
        head += part
    size = struct.unpack(">I", head[2:6])[0]
    while len(head) < size:
        part = read(size - len(head))
        if not part:
            return b""
        head += part
    return head


def serve(ctrl, path):
    import wire
    c = wire.Ctrl(ctrl)
    result, data = c.datafd()
    # TPM_RC_INITIALIZE: it goes on where it was.
    if result or c.init() or data.startup() not in (0, 0x100):
        sys.exit("the TPM does not start")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(4)
    while True:
        client, _ = listener.accept()
        with client:
            while command := packet(client.recv):
                data.s.sendall(command)
                client.sendall(packet(data.s.recv))


def pipe(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    while command := packet(lambda n: os.read(0, n)):
        s.sendall(command)
        os.write(1, packet(s.recv))


if sys.argv[1] == "serve":
    serve(*sys.argv[2:])
else:
    pipe(*sys.argv[2:])
