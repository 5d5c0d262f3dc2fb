"""The state folder is closed to other users, and serves one Dagster at a time."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from braze_platform.demo.local_loop import dagster_environment, exclusive_state
from braze_platform.demo.processes import free_port
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.process_table import ancestors_of, command_of
from braze_platform.settings import PROJECT_ROOT, Settings
from braze_platform.state_folder import StateInUse, claim, make_private
from braze_platform.warehouse.duckdb import local_warehouse


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def _open_warehouse(settings: Settings) -> None:
    with local_warehouse(settings).session():
        pass


def _own(settings: Settings) -> None:
    with exclusive_state(settings):
        pass


@pytest.mark.parametrize("made_by", [_own, _open_warehouse, prepare_manifest])
def test_a_state_folder_is_closed_to_others(tmp_path: Path, made_by: Callable[[Settings], object]) -> None:
    settings = Settings(state_dir=tmp_path / "a" / "state")
    before = os.umask(0)
    try:
        made_by(settings)
    finally:
        os.umask(before)
    assert mode(settings.state_dir) == 0o700


@pytest.mark.parametrize("wide", [0o755, 0o750, 0o777, 0o701])
def test_a_folder_that_others_may_enter_is_closed_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wide: int
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(wide)
    make_private(folder)
    assert mode(folder) == 0o700
    assert f"{wide:o}" in caplog.text and str(folder) in caplog.text
    caplog.clear()
    make_private(folder)
    assert caplog.text == ""


def test_a_folder_of_another_user_stays_and_the_log_says_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o755)

    def not_ours(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", not_ours)
    with caplog.at_level(logging.WARNING):
        make_private(folder)
    assert mode(folder) == 0o755
    assert "chmod 700" in caplog.text and "BRAZE_PLATFORM_STATE_DIR" in caplog.text


def test_a_process_has_ancestors() -> None:
    own, parent = list(ancestors_of(os.getpid()))[:2]
    assert (own, parent) == (os.getpid(), os.getppid())
    assert "pytest" in command_of(os.getpid()) or "python" in command_of(os.getpid())
    assert command_of(2**22 + 1) == "" and list(ancestors_of(2**22 + 1)) == [2**22 + 1]


#: Stands for `dagster dev`: starts, for each line that it reads, a code server, and says what became of that.
SERVICE = """
import subprocess, sys
claims = '''
import sys
from pathlib import Path
from braze_platform.state_folder import StateInUse, claim
try:
    claim(Path(sys.argv[1]))
    print("claimed")
except StateInUse as error:
    print(error)
'''
print("ready", flush=True)
for line in sys.stdin:
    server = [sys.executable, "-c", claims, line.strip()]
    print(subprocess.run(server, capture_output=True, text=True).stdout.strip(), flush=True)
"""


class Service:
    def __init__(self, script: Path, *words: str) -> None:
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(SERVICE)
        command = [sys.executable, str(script), *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert self._answer() == "ready"

    def starts_a_code_server(self, folder: Path) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(10)


@contextmanager
def services(tmp_path: Path, *commands: tuple[str, ...]) -> Iterator[list[Service]]:
    started = [
        Service(tmp_path / str(number) / name, *words) for number, (name, *words) in enumerate(commands)
    ]
    try:
        yield started
    finally:
        for one in started:
            one.end()


def test_a_second_dagster_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with services(tmp_path, ("dagster", "dev"), ("dagster-daemon", "run")) as (first, second):
        assert first.starts_a_code_server(folder) == "claimed"
        assert first.starts_a_code_server(folder) == "claimed", "a reload is a second code server of it"
        refused = second.starts_a_code_server(folder)
        assert f"process {first.process.pid}" in refused and "dagster dev" in refused
        assert "BRAZE_PLATFORM_STATE_DIR" in refused
        assert second.starts_a_code_server(tmp_path / "another") == "claimed"
        with (
            pytest.raises(StateInUse, match=f"process {first.process.pid}"),
            exclusive_state(Settings(state_dir=folder)),
        ):
            pass
        first.end()
        assert second.starts_a_code_server(folder) == "claimed"


def test_a_webserver_and_commands_neither_take_nor_refuse(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with services(tmp_path, ("dagster-webserver", "-w"), ("dagster", "dev")) as (webserver, dev):
        assert webserver.starts_a_code_server(folder) == "claimed"
        assert not folder.exists()
        assert dev.starts_a_code_server(folder) == "claimed"
        assert webserver.starts_a_code_server(folder) == "claimed"
        claim(folder)
        assert dev.starts_a_code_server(folder) == "claimed"


def test_two_that_one_shell_started_are_two(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    scripts = [tmp_path / name / "dagster" for name in ("a", "b")]
    for script in scripts:
        script.parent.mkdir()
        script.write_text(SERVICE)
    line = " & ".join(f"(echo {folder}; sleep 2) | {sys.executable} {script} dev" for script in scripts)
    said = subprocess.run(["sh", "-c", f"{line} & wait"], capture_output=True, text=True, check=True).stdout
    answers = sorted(line for line in said.splitlines() if line != "ready")
    assert answers[1] == "claimed" and "Another Dagster runs" in answers[0], said


def test_an_id_that_is_used_again_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "dagster_process").write_text(f"{os.getppid()}\nanother command\n")
    with services(tmp_path, ("dagster", "dev")) as (dev,):
        assert dev.starts_a_code_server(tmp_path) == "claimed"


def ask(port: int, query: str) -> str:
    try:
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=30)
    except httpx.TransportError:
        return ""
    return json.dumps(answer.json())


@pytest.mark.full
def test_a_second_dagster_dev_says_who_has_the_folder(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    prepare_manifest(settings)
    loaded = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename "
    loaded += "... on PythonError { errorChain { error { message } } } } } } } }"
    started: list[tuple[subprocess.Popen[bytes], int]] = []
    found: list[str] = []
    try:
        for number in range(2):
            home, port = tmp_path / f"home{number}", free_port()
            home.mkdir()
            command = [sys.executable, "-m", "dagster", "dev", "--port", str(port)]
            command += ["--workspace", str(PROJECT_ROOT / "workspace.yaml")]
            environment = {**os.environ, **dagster_environment(settings), "DAGSTER_HOME": str(home)}
            with (tmp_path / f"{number}.log").open("wb") as log:
                process = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            started.append((process, port))
            deadline = time.monotonic() + 180
            while not any(word in ask(port, loaded) for word in ("RepositoryLocation", "PythonError")):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.5)
            found.append(ask(port, loaded))
    finally:
        for process, _ in started:
            process.send_signal(signal.SIGINT)
        for process, _ in started:
            process.wait(60)
    assert "RepositoryLocation" in found[0]
    assert "StateInUse" in found[1] and f"process {started[0][0].pid}" in found[1]
