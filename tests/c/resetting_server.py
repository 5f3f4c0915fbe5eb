"""A server that resets its connections: before it answers, in the handshake, or within a body.

Usage: resetting_server.py DIRECTORY. Makes a certificate there, and says on stdout, as assignments
of a shell, where it listens and which authority is to be trusted. Knows nothing of the API.
"""

import contextlib
import pathlib
import shlex
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable


def make_certificate(directory: pathlib.Path) -> ssl.SSLContext:
    """A server certificate for this machine, and the authority that signed it."""
    key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=resetting server",
    ]
    (directory / "extensions").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"
    )
    for command in (
        ["req", "-x509", *key, "-keyout", "authority.key", "-out", "authority.pem", "-days", "2"],
        ["req", "-new", *key, "-keyout", "server.key", "-out", "server.request"],
        [
            *("x509", "-req", "-in", "server.request", "-days", "2", "-extfile", "extensions"),
            *("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"),
            *("-out", "server.pem"),
        ],
    ):
        subprocess.run(  # noqa: S603
            ["openssl", *command],  # noqa: S607
            cwd=directory,
            check=True,
            capture_output=True,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    return context


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_request(connection: socket.socket) -> None:
    head, length = b"", 0
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError
        head += part
    head, _, body = head.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)


def before_the_answer(connection: socket.socket, context: ssl.SSLContext) -> None:
    secured = context.wrap_socket(connection, server_side=True)
    read_request(secured)
    reset(secured)


def in_the_handshake(connection: socket.socket, context: ssl.SSLContext) -> None:
    arrived, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = context.wrap_bio(arrived, to_send, server_side=True)
    arrived.write(connection.recv(65536))
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    connection.sendall(to_send.read())
    reset(connection)


def in_the_body(connection: socket.socket, context: ssl.SSLContext) -> None:
    connection.recv(65536)
    reset(connection)


def listen(behave: Callable[[socket.socket, ssl.SSLContext], None], context: ssl.SSLContext) -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            behave(connection, context)

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main() -> None:
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    context = make_certificate(directory)
    listening = [f"KAT_TEST_AUTHORITY={shlex.quote(str(directory.resolve() / 'authority.pem'))}"]
    for behave in (before_the_answer, in_the_handshake, in_the_body):
        scheme = "http" if behave is in_the_body else "https"
        port = listen(behave, context)
        listening.append(f"KAT_TEST_RESETS_{behave.__name__.upper()}={scheme}://127.0.0.1:{port}")
    # All at once: whoever sees something sees everything.
    print("\n".join(listening), flush=True)
    threading.Event().wait()


main()
