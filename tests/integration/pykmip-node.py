#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs Debian's PyKMIP server for a test: pykmip-node.py DIR CERTIFICATE PORT
DATABASE NAME [tls=1.2|1.3] [versions=1.1,1.2] [discover=no].

PyKMIP makes its socket by ssl.wrap_socket, which cannot ask for TLS 1.3: that
one call is replaced. The other options make it as limited as older servers
are: the engine's own list of versions, and its own way to refuse."""
import os
import ssl
import sys

from kmip.core import exceptions
from kmip.core.messages.contents import ProtocolVersion
from kmip.services.server import engine
from kmip.services.server.server import KmipServer

folder, certificate, port, database, name = sys.argv[1:6]
options = dict(word.split("=", 1) for word in sys.argv[6:])


def wrap_socket(sock, keyfile, certfile, ca_certs, **_):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if options.get("tls") == "1.3":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certfile, keyfile)
    context.load_verify_locations(ca_certs)
    context.verify_mode = ssl.CERT_REQUIRED
    return context.wrap_socket(sock, server_side=True,
                               do_handshake_on_connect=False)


if "tls" in options:
    ssl.wrap_socket = wrap_socket

if "versions" in options:
    allowed = [ProtocolVersion(*map(int, v.split(".")))
               for v in options["versions"].split(",")]
    plain_init = engine.KmipEngine.__init__

    def init(self, *args, **kw):
        plain_init(self, *args, **kw)
        self._protocol_versions = allowed

    engine.KmipEngine.__init__ = init

if options.get("discover") == "no":
    def refuse(self, payload):
        raise exceptions.OperationNotSupported(
            "DiscoverVersions operation is not supported by the server.")

    engine.KmipEngine._process_discover_versions = refuse


def at(name):
    return os.path.join(folder, name)


server = KmipServer(
    hostname="127.0.0.1", port=int(port), config_path=None,
    certificate_path=at(certificate + ".pem"),
    key_path=at(certificate + ".key"), ca_path=at("ca.pem"),
    auth_suite="TLS1.2", log_path=at(name + ".log"), policy_path=at("policy"),
    enable_tls_client_auth=True, logging_level="INFO",
    tls_cipher_suites="TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    database_path=database)
with server:
    server.serve()
