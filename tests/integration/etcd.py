# SPDX-License-Identifier: BSD-3-Clause
"""A cluster of etcd nodes on loopback, with TLS and client certificates."""
import atexit
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request


def free_ports(count):
    """Ports that nobody listens on; etcd cannot be given an open socket."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Cluster:
    def __init__(self, certs, nodes=3):
        self.certs = certs
        self.cert = certs.cert("etcd")
        self.dir = tempfile.mkdtemp(prefix="etcd-")
        atexit.register(self.stop)
        ports = free_ports(2 * nodes)
        self.urls = [f"https://127.0.0.1:{p}" for p in ports[:nodes]]
        self.peers = [f"https://127.0.0.1:{p}" for p in ports[nodes:]]
        self.nodes = [None] * nodes
        for i in range(nodes):
            self.start(i)
        self.wait()

    def start(self, i):
        cert, key = self.cert
        ca = self.certs.path("ca.pem")
        cluster = ",".join(f"n{j}={u}" for j, u in enumerate(self.peers))
        log = open(os.path.join(self.dir, f"log{i}"), "a")
        self.nodes[i] = subprocess.Popen(
            ["etcd", "--name", f"n{i}", "--data-dir",
             os.path.join(self.dir, f"n{i}"), "--initial-cluster", cluster,
             "--initial-cluster-state", "new", "--logger", "zap",
             "--listen-client-urls", self.urls[i],
             "--advertise-client-urls", self.urls[i],
             "--listen-peer-urls", self.peers[i],
             "--initial-advertise-peer-urls", self.peers[i],
             "--cert-file", cert, "--key-file", key, "--trusted-ca-file", ca,
             "--client-cert-auth", "--peer-cert-file", cert,
             "--peer-key-file", key, "--peer-trusted-ca-file", ca,
             "--peer-client-cert-auth"], stdout=log, stderr=log)

    def wait(self, node=0):
        """Until a linearizable read works there."""
        context = ssl.create_default_context(cafile=self.certs.path("ca.pem"))
        context.load_cert_chain(*self.cert)
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(
                    self.urls[node] + "/v3/kv/range", b'{"key":"YQ=="}'),
                    context=context, timeout=5).read()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def kill(self, i):
        self.nodes[i].kill()
        self.nodes[i].wait()

    def freeze(self, i, frozen=True):
        self.nodes[i].send_signal(signal.SIGSTOP if frozen else
                                  signal.SIGCONT)

    def stop(self):
        for p in self.nodes:
            if p and p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.kill()
                p.wait()
        shutil.rmtree(self.dir, True)
