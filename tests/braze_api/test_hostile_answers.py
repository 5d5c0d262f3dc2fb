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
from hostile_answers import ANSWERS, OK
from test_client import ask, read_request, server

from braze_platform.braze_api.limiter import Limiter
from braze_platform.braze_api.pacing import wait_after


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
