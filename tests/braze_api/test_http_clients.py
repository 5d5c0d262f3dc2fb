"""Proxies: outward calls go through the environment's, calls to this machine never."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from braze_platform.braze_api.client import Answer, BrazeClient
from braze_platform.braze_api.http_clients import loopback_exempted, request_once
from braze_platform.demo.local_loop import LocalLoop, dagster_environment
from braze_platform.doctor.braze import check_braze
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.google_clients import bigquery_resource

HOST = "rest.braze.test"
KEY = "a-secret-key"


class Origin(BaseHTTPRequestHandler):
    """Answers every request and remembers it."""

    seen: list[tuple[str, str | None]]

    def do_POST(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


class Proxy:
    """A CONNECT proxy that knows where `rest.braze.test` is, and what it was sent in clear."""

    def __init__(self, origin_port: int, refusal: bytes = b"") -> None:
        self.origin_port, self.refusal = origin_port, refusal
        self.heads: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65_536)
                if not part:
                    return
                head += part
            self.heads.append(head)
            if self.refusal or not head.startswith(b"CONNECT"):
                connection.sendall(self.refusal or b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self.origin_port)) as origin:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(origin, connection), daemon=True)
                back.start()
                _copy(connection, origin)
                back.join(5)


def _copy(source: socket.socket, to: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side is gone


def certificate(folder: Path) -> Path:
    """A certificate for `rest.braze.test` that signs itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme.upper()}_PROXY", raising=False)


def origin(tls: Path | None = None) -> ThreadingHTTPServer:
    handler = type("Handler", (Origin,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A server with TLS that only the proxy finds."""
    path = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    server = origin(path)
    yield server
    server.shutdown()


def settings(folder: Path, url: str) -> Settings:
    return Settings(state_dir=folder, environment="production", braze_rest_url=url, braze_api_key=KEY)


def ask(folder: Path, url: str) -> Answer:
    async def asking() -> Answer:
        async with BrazeClient(
            settings(folder, url), connections=2, nothing="No", timeout_seconds=5
        ) as connection:
            return await connection.request("POST", "/users/track", content=b'{"attributes":[]}')

    return asyncio.run(asking())


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_outward_calls_go_through_the_environment_s_proxy(
    secure: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    proxy = Proxy(secure.server_port)
    monkeypatch.setenv(variable, f"http://somebody:pass-word@127.0.0.1:{proxy.port}")
    assert ask(tmp_path, f"https://{HOST}").status == 201
    assert check_braze(settings(tmp_path, f"https://{HOST}")).state == "ok"
    assert [path for path, _ in secure.RequestHandlerClass.seen] == ["/users/track", "/users/export/ids"]  # type: ignore[attr-defined]
    assert all(head.startswith(f"CONNECT {HOST}:443".encode()) for head in proxy.heads)
    assert all(b"proxy-authorization: basic" in head.lower() for head in proxy.heads)
    assert not any(KEY.encode() in head for head in proxy.heads)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9"])
def test_calls_to_this_machine_never_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    server = origin()
    proxy = Proxy(server.server_port)
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    if host == "127.9.9.9":
        server.shutdown()
        server = ThreadingHTTPServer((host, 0), server.RequestHandlerClass)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://{host}:{server.server_port}"
    assert ask(tmp_path, url).status == 201
    assert check_braze(settings(tmp_path, url)).state == "ok"
    loop = LocalLoop(settings(tmp_path, url), webserver_port=1)
    assert loop.sandbox_get("/sandbox/state") == {}
    emulated = settings(tmp_path, url).replace(
        target="bigquery",
        bigquery_project="p",
        bucket_name="b",
        bigquery_dataset_prefix="t_",
        bigquery_emulator_url=url,
    )
    with bigquery_resource(emulated).get_client() as client:
        client._connection.api_request(method="GET", path="/x")  # type: ignore[attr-defined]
    assert len(server.RequestHandlerClass.seen) == 4  # type: ignore[attr-defined]
    assert proxy.heads == []
    server.shutdown()


def test_no_proxy_is_read(
    secure: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(secure.server_port)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    for exempted in (".braze.test", "other.test, braze.test", HOST, "*"):
        monkeypatch.setenv("NO_PROXY", exempted)
        assert ask(tmp_path, f"https://{HOST}").status is None, "nothing but the proxy finds it"
    assert proxy.heads == []
    monkeypatch.setenv("NO_PROXY", "other.test")
    assert ask(tmp_path, f"https://{HOST}").status == 201


@pytest.mark.parametrize("refusal", [b"", b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n"])
def test_a_proxy_that_fails_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    if refusal:
        port = Proxy(1, refusal).port
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:pass-word@127.0.0.1:{port}")
    answer = ask(tmp_path, f"https://{HOST}")
    assert (answer.status, answer.written) == (None, False), "Braze cannot have taken it"
    said = check_braze(settings(tmp_path, f"https://{HOST}")).text
    for text in (answer.fault, said):
        assert "proxy" in text
        assert "pass-word" not in text
    assert ("407" in answer.fault) is bool(refusal)


@pytest.mark.parametrize(
    "value", ["socks5://u:pass-word@127.0.0.1:1", "ftp://u:pass-word@h", "http://", "http://h:port"]
)
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(SettingsError, match="ALL_PROXY") as raised:
        request_once("GET", f"https://{HOST}", timeout=1)
    assert "pass-word" not in str(raised.value)
    with pytest.raises(httpx.TransportError):
        request_once("GET", "http://127.0.0.1:1", timeout=1)


def test_dagster_s_processes_find_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "NO_PROXY" not in dagster_environment(Settings(state_dir=tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "a.test")
    environment = dagster_environment(Settings(state_dir=tmp_path))
    assert environment["no_proxy"] == environment["NO_PROXY"] == "a.test,localhost,127.0.0.1,127.0.0.0/8,::1"
    monkeypatch.setenv("no_proxy", "*")
    assert loopback_exempted()["no_proxy"].startswith("*,")
