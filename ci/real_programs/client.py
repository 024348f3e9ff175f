"""A TLS client: sends a line, expects one, and shows a certificate of its own."""

import socket
import ssl
import sys

port, ca, certificate, key, version = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
context.load_cert_chain(certificate, key)
with socket.create_connection(("localhost", int(port)), timeout=30) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(b"to the server\n")
        got = connection.makefile("rb").readline()
        print(connection.version(), got.decode().strip())
