"""How network faults are told: above all, whether Braze can have taken the request."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from braze_platform.braze_api.client import Answer, BrazeClient, OutwardCallsOff
from braze_platform.settings import Settings


def ask(folder: Path, port: int, timeout: float = 5.0) -> Answer:
    async def asking() -> Answer:
        settings = Settings(state_dir=folder, braze_rest_url=f"http://127.0.0.1:{port}")
        async with BrazeClient(settings, connections=1, nothing="No", timeout_seconds=timeout) as connection:
            return await connection.request("POST", "/users/track", content=b'{"attributes":[]}')

    return asyncio.run(asking())


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that takes one connection and does with it as told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def read_request(connection: socket.socket) -> None:
    received = b""
    while b'{"attributes":[]}' not in received:
        received += connection.recv(65_536)


def test_a_refused_connection_took_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = ask(tmp_path, port)
    assert (answer.status, answer.written) == (None, False) and answer.fault


def test_a_connection_that_closes_after_the_request_leaves_it_open(tmp_path: Path) -> None:
    with server(read_request) as port:
        answer = ask(tmp_path, port)
    assert (answer.status, answer.written) == (None, True) and answer.fault


def test_a_reset_leaves_it_open(tmp_path: Path) -> None:
    def reset(connection: socket.socket) -> None:
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with server(reset) as port:
        answer = ask(tmp_path, port)
    assert (answer.status, answer.written) == (None, True)


def test_silence_leaves_it_open(tmp_path: Path) -> None:
    done = threading.Event()

    def silent(connection: socket.socket) -> None:
        read_request(connection)
        done.wait(10)

    with server(silent) as port:
        answer = ask(tmp_path, port, timeout=0.2)
        done.set()
    assert (answer.status, answer.written) == (None, True)


def test_an_answer_that_breaks_off_leaves_it_open(tmp_path: Path) -> None:
    def broken(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{")

    with server(broken) as port:
        answer = ask(tmp_path, port)
    assert (answer.status, answer.written) == (None, True)


def test_nothing_leaves_the_machine_unless_production_says_so(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, braze_rest_url="https://rest.example.com")
    with pytest.raises(OutwardCallsOff, match="BRAZE_PLATFORM_ENVIRONMENT"):
        BrazeClient(settings, connections=1, nothing="Nothing was sent to")
