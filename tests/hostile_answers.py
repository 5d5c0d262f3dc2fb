"""Answers that no Braze gives: what is no HTTP, and HTTP whose body is not what was asked for."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

OK = b"HTTP/1.1 200 OK\r\n"
#: Bytes, by what they are.
ANSWERS = {
    "nothing at all": b"",
    "one byte": b"H",
    "binary": bytes(range(256)) * 20,
    "a captive portal's page without a head": b"<html><body>Log in</body></html>",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status beyond all": b"HTTP/1.1 99999999999 OK\r\n\r\n",
    "a negative status": b"HTTP/1.1 -200 OK\r\n\r\n",
    "another protocol": b"HTTP/9.9 200 OK\r\n\r\n",
    "no end of the head": OK + b"A: b\r\n",
    "a header without a name": OK + b": b\r\n\r\n",
    "a header without a colon": OK + b"nonsense\r\n\r\n",
    "a header of NUL": OK + b"A: \x00\x01\r\n\r\n",
    "a header of 100 KB": OK + b"A: " + b"x" * 100_000 + b"\r\n\r\n",
    "ten thousand headers": OK + b"".join(b"A%d: b\r\n" % number for number in range(10_000)) + b"\r\n",
    "a length that is none": OK + b"Content-Length: many\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -5\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "fewer bytes than promised": OK + b"Content-Length: 100\r\n\r\n{}",
    "a length beyond all": OK + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "bad chunks": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunks cut short": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "a negative chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    "gzip that is none": OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    "deflate that is none": OK + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\nhello",
    "a redirect to itself": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "a redirect elsewhere": b"HTTP/1.1 307 Moved\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n",
    "a continue without an end": b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    "another protocol from here on": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


def _body(content: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


#: Answers that are HTTP.
BODIES = {
    "no JSON": _body(b"<html><body>Maintenance</body></html>"),
    "JSON null": _body(b"null"),
    "a list": _body(b"[]"),
    "a number": _body(b"1e999"),
    "a text": _body(b'"success"'),
    "no UTF-8": _body(b'{"message": "\xff\xfe"}'),
    "nested without end": _body(b"[" * 100_000),
    "a key twice": _body(b'{"message": 1, "message": []}'),
    "parts of other types": _body(
        b'{"message": [], "errors": 7, "users": {"a": 1}, "campaigns": "none", "canvases": null, "segments": 1,'
        b' "attributes": {}, "results": "x", "integrations": 5, "syncs": {}}'
    ),
    "lists of nothing": _body(
        b'{"message": "success", "users": [null, 1, []], "campaigns": [null, {}, {"id": 5}], "canvases": [7],'
        b' "segments": [[]], "attributes": [null], "results": [0], "errors": [null, 1, {"index": "x"}]}'
    ),
}


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The URL of a server that reads each request and answers the same to all."""
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65_536)
            head, _, body = head.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            while length is not None and len(body) < int(length[1]):
                body += connection.recv(65_536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        threads: list[threading.Thread] = []

        def accept() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            for thread in (accepting, *threads):
                thread.join()
