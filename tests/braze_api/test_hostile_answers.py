"""Whatever comes back, or does not: one answer without content, in time, in bounded memory, and never the key."""

from __future__ import annotations

import contextlib
import gzip
import math
import socket
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from test_client import ask, read_request, server

from braze_platform.braze_api.limiter import Limiter
from braze_platform.braze_api.pacing import wait_after

OK = b"HTTP/1.1 200 OK\r\n"
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


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_whatever_is_no_answer_is_one_without_content(tmp_path: Path, answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        with contextlib.suppress(OSError):
            connection.sendall(answer)

    with server(serve) as port:
        found = ask(tmp_path, port, timeout=1.0)
    assert bool(found.fault) == (found.status is None)
    assert found.written


def test_an_answer_of_a_byte_a_second_ends(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(200):
                connection.sendall(b"x")
                time.sleep(0.05)

    with server(serve) as port:
        found = ask(tmp_path, port, timeout=0.2)
    assert (found.status, found.fault) == (None, "TimeoutError")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
def test_an_answer_of_a_gigabyte_is_not_kept(tmp_path: Path, coding: str) -> None:
    huge = b"\0" * (1 << 27)
    body = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[coding](huge)
    del huge

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        with contextlib.suppress(OSError):
            connection.sendall(
                OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )

    tracemalloc.start()
    with server(serve) as port:
        found = ask(tmp_path, port)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.status, found.fault) == (None, "AnswerTooLarge")
    assert peak < 1 << 29


@pytest.mark.parametrize(
    "text",
    [
        *("9999999999", "1e300", "nan", "inf", "-inf", "-5", "", "soon", "9" * 5_000, "0x10", "1_000", "٣"),
        *(
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Mon, 99 Foo 2026 99:99:99 GMT",
            "31 Dec",
            "Fri, 1 Jan 1 0:0:0 +9999",
        ),
    ],
)
@pytest.mark.parametrize("name", ["Retry-After", "X-RateLimit-Reset", "X-RateLimit-Retry-After"])
@pytest.mark.parametrize("status", [200, 429, 503])
def test_nobody_is_waited_for_longer_than_an_hour(status: int, name: str, text: str) -> None:
    headers = {name: text, "X-RateLimit-Remaining": "0"}
    wait = wait_after(status, headers, 1_795_000_000.0)
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= 3_600)
    Limiter(per_second=10.0).observe_rate_limit_headers(
        {**headers, "X-RateLimit-Limit": text, "X-RateLimit-Remaining": text}
    )
