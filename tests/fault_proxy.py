"""A proxy on this machine that hands requests on to a server, except for those that a test wants to go wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

import urllib3

Fault = Literal[403, 404, 409, 429, 500, 503, "lost answer", "lost request"]
_REASONS = {
    403: "accessDenied",
    404: "notFound",
    409: "duplicate",
    429: "rateLimitExceeded",
    500: "internalError",
    503: "backendError",
}
_HOP = frozenset({"transfer-encoding", "content-length", "connection", "content-encoding"})


@dataclass
class FaultProxy:
    """What goes wrong and what was seen; `decide` gets method, path and body of each request."""

    target: str
    decide: Callable[[str, str, bytes], Fault | None] = field(default=lambda *_: None)
    seen: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    url: str = ""

    def fail(self, *faults: Fault, path: str, method: str = "POST", saying: bytes = b"") -> None:
        """Let the next requests of this kind fail, one after the other."""
        left = list(faults)

        def decide(asked: str, at: str, body: bytes) -> Fault | None:
            hit = left and asked == method and path in at and saying in body
            return left.pop(0) if hit else None

        self.decide = decide


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """A running proxy in front of `target`."""
    proxy = FaultProxy(target)
    pool = urllib3.HTTPConnectionPool(urlsplit(target).hostname or "", urlsplit(target).port, maxsize=16)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                proxy.seen.append(f"{self.command} {self.path}")
                fault = proxy.decide(self.command, self.path, body)
                if fault is not None:
                    proxy.faults.append(fault)
            if fault == "lost request":
                self.close_connection = True
                return
            if isinstance(fault, int):
                reason = _REASONS[fault]
                # BigQuery says what it did not find, and clients tell a job from a table by it.
                is_job = fault == 404 and ("/jobs/" in self.path or "/queries/" in self.path)
                message = f"Not found: Job {urlsplit(self.path).path.split('/')[-1]}" if is_job else reason
                self._send(
                    fault,
                    {"Content-Type": "application/json"},
                    json.dumps(
                        {"error": {"code": fault, "message": message, "errors": [{"reason": reason}]}}
                    ).encode(),
                )
                return
            answer = pool.request(
                self.command,
                self.path,
                body=body or None,
                headers={k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}},
                redirect=False,
                retries=False,
                decode_content=False,
                preload_content=True,
            )
            if fault == "lost answer":
                self.close_connection = True
                return
            self._send(
                answer.status,
                {k: v for k, v in answer.headers.items() if k.lower() not in _HOP - {"content-encoding"}},
                answer.data,
            )

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def _send(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients that die mid-request are what this is for

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
