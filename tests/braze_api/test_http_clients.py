"""Proxies: outward calls go through the environment's, calls to this machine never."""

from __future__ import annotations

import ast
import asyncio
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import braze_platform
from braze_platform.braze_api.client import Answer, BrazeClient
from braze_platform.braze_api.http_clients import loopback_exempted, request_once
from braze_platform.demo.local_loop import LocalLoop, dagster_environment
from braze_platform.doctor.braze import check_braze, check_clock, check_workspace
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.google_clients import bigquery_resource, storage_resource
from braze_platform.workspace_metadata.objects import ENDPOINTS

PACKAGE = Path(braze_platform.__file__).parent

HOST = "rest.braze.test"
KEY = "a-secret-key"


class Origin(BaseHTTPRequestHandler):
    """Answers every request and remembers it."""

    seen: list[tuple[str, str | None]]

    def do_POST(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"message": "success"}'
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def do_HEAD(self) -> None:
        self.seen.append((self.path, None))
        self.send_response(200)
        self.end_headers()

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


def origin(tls: Path | None = None, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    handler = type("Handler", (Origin,), {"seen": []})
    server = ThreadingHTTPServer((host, 0), handler)
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


def _webserver_answers(settings: Settings) -> None:
    port = httpx.URL(settings.braze_rest_url).port
    assert port is not None
    # It answers with 201, and not as the UI does.
    assert not LocalLoop(settings, webserver_port=port)._webserver_answers()


def _bigquery(settings: Settings) -> None:
    with bigquery_resource(settings).get_client() as client:
        client._connection.api_request(method="GET", path="/x")  # type: ignore[attr-defined]


#: Whatever of the package asks a server on this machine for something, and how many requests that makes.
CALLERS: dict[str, tuple[Callable[[Settings], object], int]] = {
    "syncs": (lambda s: ask(s.state_dir, s.braze_rest_url), 1),
    "doctor, Braze": (check_braze, 1),
    "doctor, workspace": (lambda s: list(check_workspace(s)), len(ENDPOINTS)),
    "doctor, clock": (lambda s: check_clock(s.braze_rest_url), 1),
    "demo, waiting for the sandbox": (lambda s: LocalLoop(s, webserver_port=1)._sandbox_answers(), 1),
    "demo, telling the sandbox": (lambda s: LocalLoop(s, webserver_port=1).sandbox_post("/sandbox/x", {}), 1),
    "demo, waiting for the UI": (_webserver_answers, 1),
    "BigQuery's emulator": (_bigquery, 1),
    "Cloud Storage's emulator": (
        lambda s: storage_resource(s).get_client()._connection.api_request(method="GET", path="/x"),  # type: ignore[attr-defined]
        1,
    ),
}


@pytest.mark.parametrize("caller", list(CALLERS))
def test_nobody_looks_for_this_machine_behind_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    server = origin()
    proxy = Proxy(server.server_port)
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    url = f"http://127.0.0.1:{server.server_port}"
    everything = settings(tmp_path, url).replace(
        target="bigquery",
        bigquery_project="p",
        bucket_name="b",
        bigquery_dataset_prefix="t_",
        bigquery_emulator_url=url,
        storage_emulator_url=url,
    )
    call, requests = CALLERS[caller]
    call(everything)
    assert len(server.RequestHandlerClass.seen) == requests  # type: ignore[attr-defined]
    assert proxy.heads == []
    server.shutdown()


@pytest.mark.parametrize("host", ["localhost", "127.9.9.9"])
def test_this_machine_has_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    server = origin(host="127.9.9.9" if host == "127.9.9.9" else "127.0.0.1")
    proxy = Proxy(server.server_port)
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert ask(tmp_path, f"http://{host}:{server.server_port}").status == 201
    assert proxy.heads == []
    server.shutdown()


@pytest.mark.parametrize(
    "caller",
    ["syncs", "doctor, Braze", "doctor, workspace", "doctor, clock", "demo, waiting for the sandbox"],
)
def test_everybody_looks_for_other_machines_behind_the_proxy(
    secure: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    proxy = Proxy(secure.server_port)
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    call, requests = CALLERS[caller]
    call(settings(tmp_path, f"https://{HOST}"))
    assert len(secure.RequestHandlerClass.seen) == requests  # type: ignore[attr-defined]
    assert all(head.startswith(f"CONNECT {HOST}:443".encode()) for head in proxy.heads)


#: What makes requests of its own, by the module and the name in it.
_CLIENTS = {
    "httpx": {"get", "post", "put", "delete", "head", "request", "stream", "Client", "HTTPTransport"},
    "aiohttp": {"ClientSession", "request", "TCPConnector"},
    "requests": {"get", "post", "put", "delete", "head", "request", "Session", "session"},
    "urllib.request": {"urlopen", "build_opener", "urlretrieve"},
    "http.client": {"HTTPConnection", "HTTPSConnection"},
    "httpx_aiohttp": {"HttpxAiohttpClient"},
}


def test_clients_are_made_in_one_place() -> None:
    made = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: set[str] = set()
            if isinstance(node, ast.ImportFrom) and node.module in _CLIENTS:
                names = {alias.name for alias in node.names} & _CLIENTS[node.module]
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in _CLIENTS:
                names = {node.attr} & _CLIENTS[ast.unparse(node.value)]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "httpx.AsyncClient":
                names = {"AsyncClient"}
            made |= {(path.relative_to(PACKAGE).as_posix(), name) for name in names}
    assert made == {("braze_api/http_clients.py", "HttpxAiohttpClient")}


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
