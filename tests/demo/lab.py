#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ./demo authority needs around the authority: a KMS (PyKMIP) and hosts,
each a software TPM with a recorded boot behind it and vta-kmxa on top. Takes
orders on its standard input, one a line, and answers each by a line; ends them
all when that ends."""
import hashlib
import os
import pwd
import sys
import types

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "integration"))
import kms  # noqa: E402
import vta  # noqa: E402

place = sys.argv[1]
authority = types.SimpleNamespace(place=place, dir=place + "/etc")
hosts = {}
servers = {}


def ports():
    return kms.free_port(), kms.free_port()


def start_kms():
    """Its address, and a directory with what one comes to it with."""
    if not servers:
        servers["place"] = kms.Place()
        servers["kms"] = kms.Pykmip(servers["place"])
    return servers["kms"].node, servers["place"].dir


def stop_kms():
    servers["kms"].stop()
    return ()


def start_again():
    servers["kms"].start()
    return ()


def host(name):
    # vtpmd, which root has started, is nobody or vtpmd by then.
    users = [u.pw_name for u in pwd.getpwall()
             if u.pw_name in ("nobody", "vtpmd") or u.pw_uid == os.getuid()]
    hosts[name] = vta.Host(authority, name, more="[keys]\nkeep = yes\n"
                           f"pcrs = sha256:0,2,4,7\n[access]\n"
                           f"all = {' '.join(users)}\n")
    os.chmod(hosts[name].dir, 0o755)
    hosts[name].agent.start()
    return hosts[name].dir, hosts[name].socket


def run(name, path):
    """The kernel of this host measures a file that is executed."""
    hosts[name].run_file(path, hashlib.sha256(path.encode()).digest())
    return ()


orders = {"ports": ports, "kms": start_kms, "stop-kms": stop_kms,
          "start-kms": start_again,
          "host": host, "run": run}
os.chmod(place, 0o755)
for line in sys.stdin:
    words = line.split()
    try:
        print("ok", *orders[words[0]](*words[1:]), flush=True)
    except Exception as e:  # whatever it is, the demo is to say so and end
        print("failed:", repr(e).replace("\n", " "), flush=True)
