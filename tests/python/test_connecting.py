"""Why no connection comes about: real sockets, real certificates, and words that name the cause."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kaltura_app_token as kat
import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_NAMES = "subjectAltName=DNS:localhost"
_ANSWER = b'{"ks":"djJ8d2lkZ2V0LXNlc3Npb24","partnerId":102,"userId":0}'


class Certificates:
    """An authority of one's own, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._openssl(
            *("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem"),
            *("-days", "2", "-subj", "/CN=an authority of one's own"),
        )
        for name, constraint in (("marked", "TRUE"), ("self", "FALSE")):
            self._openssl(
                *("req", "-x509", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem"),
                *("-days", "2", "-subj", "/CN=a server of one's own", "-addext", _NAMES),
                *("-addext", f"basicConstraints=critical,CA:{constraint}"),
            )
        for name, names in (("signed", _NAMES), ("other", "subjectAltName=DNS:other.example")):
            request = ("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr")
            self._openssl(*request, "-subj", "/CN=localhost")
            (folder / "extensions").write_text(f"{names}\nbasicConstraints=CA:FALSE\n")
            self._openssl(
                *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
                *("-CAcreateserial", "-out", f"{name}.pem", "-days", "2"),
                *("-extfile", "extensions"),
            )

    def _openssl(self, *words: str) -> None:
        subprocess.run(  # noqa: S603
            ["openssl", *words],  # noqa: S607
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

    def pem(self, name: str) -> bytes:
        return (self.folder / f"{name}.pem").read_bytes()

    def key(self, name: str) -> bytes:
        return (self.folder / f"{name}.key").read_bytes()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Server:
    """Answers each connection with a widget session, over TLS where it has a certificate."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.context: ssl.SSLContext | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_ANSWER)}\r\n"
                head += "Content-Type: application/json\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + _ANSWER)
            except OSError:
                pass
            finally:
                connection.close()

    def show(self, certificates: Certificates, name: str, *, asks: bool = False) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = certificates.folder
        self.context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        if asks:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(folder / "ca.pem")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def ask(port: int, **options: Any) -> kat.Session:
    url = f"https://localhost:{port}"
    client = kat.Client(102, service_url=url, max_retries=0, network_environment=False, **options)
    return client.start_widget_session()


def failure(port: int, **options: Any) -> kat.TransportError:
    with pytest.raises(kat.TransportError) as caught:
        ask(port, **options)
    assert caught.value.hint is not None
    return caught.value


@pytest.mark.parametrize(
    ("name", "trusts", "words"),
    [
        pytest.param("signed", None, "issued by an authority that is not trusted", id="private CA"),
        pytest.param("self", None, "issued by an authority that is not trusted", id="self-signed"),
        pytest.param("marked", "marked", "self-signed", id="self-signed, marked as an authority's"),
        pytest.param("other", "ca", 'not valid for name "localhost"', id="another name"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_named_and_the_way_out_too(
    server: Server, certificates: Certificates, name: str, trusts: str | None, words: str
) -> None:
    server.show(certificates, name)
    pem = None if trusts is None else certificates.pem(trusts)
    error = failure(server.port, ca_pem=pem)
    assert (error.cause, error.retryable, error.attempts) == ("tls_trust", False, 1)
    assert words in str(error)
    for way_out in ("SSL_CERT_FILE", "CA file", "CA:FALSE"):
        assert way_out in str(error.hint)


@pytest.mark.parametrize(("name", "trusts"), [("signed", "ca"), ("self", "self")])
def test_an_authority_of_ones_own_can_be_given_as_a_file_as_text_and_as_bytes(
    server: Server, certificates: Certificates, name: str, trusts: str
) -> None:
    server.show(certificates, name)
    pem = certificates.pem(trusts)
    path = certificates.folder / f"{trusts}.pem"
    for given in ({"ca_file": path}, {"ca_pem": pem}, {"ca_pem": pem.decode()}):
        assert ask(server.port, **given).ks


def test_a_client_certificate_is_shown_to_a_server_that_asks_for_one(
    server: Server, certificates: Certificates
) -> None:
    server.show(certificates, "signed", asks=True)
    trusts, chain, key = (
        certificates.pem("ca"),
        certificates.pem("other"),
        certificates.key("other"),
    )
    for given in ((chain, key), (chain.decode(), kat.Secret(key.decode()))):
        assert ask(server.port, ca_pem=trusts, client_certificate=given).ks
    assert failure(server.port, ca_pem=trusts).cause == "tls_trust"


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"ca_pem": "no PEM"}, kat.ConfigError, "CA certificates: there is no certificate in it"),
        ({"ca_pem": 3}, TypeError, "ca_pem: expected PEM as text or bytes, not int"),
        ({"client_certificate": "chain"}, TypeError, "client_certificate: expected a pair"),
        ({"client_certificate": ("x", "canary")}, kat.ConfigError, "client certificate: "),
    ],
)
def test_what_cannot_be_used_is_named_when_the_client_is_made(
    options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        kat.Client(102, **options)
    assert "canary" not in str(caught.value)


def test_https_to_a_port_that_speaks_none_says_so(server: Server) -> None:
    error = failure(server.port)
    assert (error.cause, error.retryable) == ("tls_protocol", False)
    assert "does not speak TLS" in str(error)
    assert "port speaks https" in str(error.hint)


def test_a_proxy_that_is_dead_is_named_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    proxy = f"http://joe:canary@127.0.0.1:{port}"
    client = kat.Client(102, service_url="https://kaltura.example", proxy=proxy, max_retries=0)
    with pytest.raises(kat.TransportError, match=rf"by the proxy 127\.0\.0\.1:{port}: ") as caught:
        client.start_widget_session()
    assert caught.value.cause == "proxy"
    assert "https_proxy" in str(caught.value.hint)
    assert "canary" not in repr(vars(caught.value))
