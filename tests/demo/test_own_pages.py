"""The Dagster UI of this machine, a real process of it, answers its own pages and no other page of a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from braze_platform.demo.processes import free_port

#: The UI over an empty workspace: what it answers is judged here, not what the platform's definitions are.
SERVER = """
import sys
from pathlib import Path
from dagster import DagsterInstance
from braze_platform.demo.dagster_services import serve_ui
with DagsterInstance.from_config(sys.argv[1]) as instance:
    serve_ui(instance, Path(sys.argv[1]) / "workspace.yaml", int(sys.argv[2]))
"""
MUTATION = "mutation { setNuxSeen }"
ASKED = json.dumps({"query": "{ version }"})
SENT = json.dumps({"query": MUTATION})


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    home, port = tmp_path_factory.mktemp("dagster"), free_port()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    (home / "workspace.yaml").write_text("load_from: []\n")
    log = (home / "log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(home), str(port)], stdout=log, stderr=log, env={**os.environ}
    )
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert server.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.1)
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        log.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, str]:
    """Status and answer of a request with exactly these headers, `Host` among them; PORT in them is the UI's."""
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}".replace("PORT", str(port)) for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", body]).encode())
        received = b""
        while part := connection.recv(65_536):
            received += part
    return int(received.split(b" ", 2)[1]), received.decode(errors="replace")


OWN = {"Host": "localhost:PORT", "Origin": "http://localhost:PORT", "Sec-Fetch-Site": "same-origin"}
JSON = {"Content-Type": "application/json"}
FOREIGN = {"Host": "localhost:PORT", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_the_ui_works_in_a_browser(port: int, name: str) -> None:
    opened = {
        "Host": f"{name}:PORT",
        "Sec-Fetch-Site": "none",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Accept": "text/html",
    }
    status, page = ask(port, "GET", "/", opened)
    assert status == 200 and "<script" in page and "x-frame-options: SAMEORIGIN" in page
    own = {**OWN, "Host": f"{name}:PORT", "Origin": f"http://{name}:PORT"}
    status, answer = ask(port, "POST", "/graphql", {**own, **JSON}, ASKED)
    assert status == 200 and '"version"' in answer
    status, answer = ask(port, "POST", "/graphql", {**own, **JSON}, SENT)
    assert status == 200 and "setNuxSeen" in answer
    script = page.split('src="', 1)[1].split('"', 1)[0]
    part = {"Host": f"{name}:PORT", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}
    assert ask(port, "GET", script, part)[0] == 200


def test_a_link_from_elsewhere_opens_the_ui(port: int) -> None:
    followed = {
        "Host": "localhost:PORT",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert ask(port, "GET", "/runs", followed)[0] == 200
    framed = {**followed, "Sec-Fetch-Dest": "iframe"}
    assert ask(port, "GET", "/runs", framed)[0] == 403


def test_a_program_says_where_it_comes_from(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{url}/server_info").status_code == 200
    answer = httpx.post(f"{url}/graphql", content=SENT, headers=JSON)
    assert answer.status_code == 403 and f"Origin: {url}" in answer.text
    assert httpx.post(f"{url}/graphql", content=SENT, headers={**JSON, "Origin": url}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        pytest.param("GET", "/", {"Host": "evil.example:PORT"}, "", id="name that resolves to this machine"),
        pytest.param("GET", "/", {"Host": "localhost.evil.example:PORT"}, "", id="name that looks like it"),
        pytest.param("GET", "/", {"Host": "localhost:1"}, "", id="another port"),
        pytest.param("GET", "/server_info", {"Host": "localhost"}, "", id="no port"),
        pytest.param(
            "POST",
            "/graphql",
            {**JSON, "Host": "evil.example:PORT", "Origin": "http://evil.example:PORT"},
            SENT,
            id="forged host with its own origin",
        ),
        pytest.param("POST", "/graphql", {**FOREIGN, **JSON}, SENT, id="another origin"),
        pytest.param(
            "POST",
            "/graphql",
            {**FOREIGN, "Content-Type": "text/plain; application/json"},
            SENT,
            id="text that is taken for JSON, which needs no permission of the server",
        ),
        pytest.param(
            "POST",
            f"/graphql?query={MUTATION.replace(' ', '%20')}",
            FOREIGN,
            "x=1",
            id="form, query in the URL",
        ),
        pytest.param(
            "POST", "/graphql", {**JSON, "Host": "localhost:PORT", "Origin": "null"}, SENT, id="null"
        ),
        pytest.param(
            "POST",
            "/graphql",
            {
                **JSON,
                "Host": "localhost:PORT",
                "Origin": "http://localhost:8000",
                "Sec-Fetch-Site": "same-site",
            },
            SENT,
            id="another server of this machine",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {**JSON, "Host": "localhost:PORT", "Origin": "http://127.0.0.1:PORT"},
            SENT,
            id="another name of this machine",
        ),
        pytest.param("OPTIONS", "/graphql", FOREIGN, "", id="preflight"),
        pytest.param("POST", "/report_asset_materialization/a", FOREIGN, "", id="report of an asset"),
        pytest.param(
            "GET",
            f"/graphql?query={MUTATION.replace(' ', '%20')}",
            {"Host": "localhost:PORT"},
            "",
            id="mutation by GET",
        ),
        pytest.param(
            "GET",
            f"/graphql?query={MUTATION.replace(' ', '%20')}",
            OWN,
            "",
            id="mutation by GET of its own page",
        ),
        pytest.param(
            "GET",
            f"/graphql?que%72y={MUTATION.replace(' ', '%20')}",
            {"Host": "localhost:PORT"},
            "",
            id="mutation by GET, escaped",
        ),
        pytest.param(
            "GET",
            f"/%67raphql?query={MUTATION.replace(' ', '%20')}",
            {
                "Host": "localhost:PORT",
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document",
            },
            "",
            id="mutation by a link",
        ),
        pytest.param(
            "GET",
            "/download_debug/a",
            {"Host": "localhost:PORT", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
            "",
            id="part of another page",
        ),
    ],
)
def test_other_pages_are_refused(
    port: int, method: str, path: str, headers: dict[str, str], body: str
) -> None:
    status, answer = ask(port, method, path, headers, body)
    assert status == 403
    assert "setNuxSeen" not in answer


def test_a_second_host_is_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil\r\n\r\n".encode())
        assert connection.recv(65_536).split(b" ", 2)[1] in (b"400", b"403")


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "graphql-ws",
}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN, 101),
        ({"Host": "localhost:PORT", "Origin": "http://localhost:PORT"}, 101),
        (FOREIGN, 403),
        ({"Host": "localhost:PORT"}, 403),
        ({"Host": "evil.example:PORT", "Origin": "http://evil.example:PORT"}, 403),
        ({"Host": "localhost:PORT", "Origin": "https://localhost:PORT"}, 403),
    ],
)
def test_a_websocket_is_opened_by_its_own_pages_alone(
    port: int, headers: dict[str, str], status: int
) -> None:
    lines = [f"{name}: {value}".replace("PORT", str(port)) for name, value in {**headers, **UPGRADE}.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join(["GET /graphql HTTP/1.1", *lines, "", ""]).encode())
        answer = connection.recv(65_536)
        assert int(answer.split(b" ", 2)[1]) == status, answer
        if status == 101:
            connection.sendall(_masked(b'{"type": "connection_init"}'))
            assert b"connection_ack" in connection.recv(65_536)


def _masked(text: bytes) -> bytes:
    """A frame of text as browsers send it (https://www.rfc-editor.org/rfc/rfc6455#section-5.2), masked with zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
