"""bqemulator and gcp-storage-emulator as processes of the test session, and what a test has of them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from braze_platform.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-emulators"
BQEMULATOR = ROOT / "tests" / "emulators" / "run_bqemulator.py"
PROJECT = "emulated-project"
#: In the emulators' folder: what they ran, and which test has the datasets of a prefix (see `sent_statements`).
STATEMENT_LOG = "statements.jsonl"
INSTALLATION_LOG = "installations.jsonl"
#: Seconds to wait for a server that starts while all cores are busy.
_PATIENCE = 120


@dataclass(frozen=True)
class GoogleEmulators:
    """Two running servers that share one folder of objects."""

    bigquery_url: str
    storage_url: str
    objects: Path

    def settings(self, state_dir: Path) -> Settings:
        """Settings of an installation of its own: a bucket and a dataset prefix that nobody else has."""
        name = f"t{uuid.uuid4().hex[:10]}"
        with (self.objects.parent / INSTALLATION_LOG).open("a", encoding="utf-8") as log:
            test = os.environ.get("PYTEST_CURRENT_TEST", "")
            log.write(json.dumps({"prefix": f"{name}_", "test": test}) + "\n")
        self.storage().create_bucket(name)
        return Settings(
            target="bigquery",
            state_dir=state_dir,
            bigquery_project=PROJECT,
            bigquery_dataset_prefix=f"{name}_",
            bucket_name=name,
            braze_rest_url=Settings().braze_rest_url,
            labels=(("team", "data"),),
            bigquery_emulator_url=self.bigquery_url,
            storage_emulator_url=self.storage_url,
        )

    def bigquery(self) -> bigquery.Client:
        return bigquery.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.bigquery_url),
        )

    def storage(self) -> storage.Client:
        return storage.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.storage_url),
        )

    def forget(self, settings: Settings) -> None:
        """Remove an installation's datasets: the emulator keeps them in memory."""
        client = self.bigquery()
        for dataset in client.list_datasets():
            if dataset.dataset_id.startswith(settings.bigquery_dataset_prefix):
                client.delete_dataset(dataset.dataset_id, delete_contents=True, not_found_ok=True)


@contextmanager
def running(folder: Path) -> Iterator[GoogleEmulators]:
    """Both servers on free ports, with their files in `folder`; they end with the context or with this process."""
    if not (ENVIRONMENT / "bin" / "bqemulator").exists():
        raise FileNotFoundError(
            f"The emulators are not installed in {ENVIRONMENT}: run 'make emulators' (make test does)."
        )
    objects = folder / "objects"
    objects.mkdir(parents=True)
    rest, grpc, storage_port = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(
            _process(
                [
                    "python",
                    str(BQEMULATOR),
                    "start",
                    "--rest-port",
                    str(rest),
                    "--grpc-port",
                    str(grpc),
                    "--log-level",
                    "error",
                ],
                {
                    "BQEMU_GCS_LOCAL_ROOT": str(objects),
                    "BQEMU_UPLOAD_STAGING_DIR": str(folder / "uploads"),
                    "STATEMENT_LOG": str(folder / STATEMENT_LOG),
                },
                folder / "bigquery.log",
                f"http://127.0.0.1:{rest}/bigquery/v2/projects",
            )
        )
        stack.enter_context(
            _process(
                ["gcp-storage-emulator", "start", "--host=127.0.0.1", f"--port={storage_port}"],
                {"STORAGE_BASE": str(folder), "STORAGE_DIR": "objects"},
                folder / "storage.log",
                f"http://127.0.0.1:{storage_port}/storage/v1/b",
            )
        )
        yield GoogleEmulators(f"http://127.0.0.1:{rest}", f"http://127.0.0.1:{storage_port}", objects)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _process(command: list[str], environment: dict[str, str], log: Path, url: str) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(ENVIRONMENT / "bin" / command[0]), *command[1:]],
            env={
                **os.environ,
                **environment,
                "HOME": str(ENVIRONMENT / "home"),
                "BQEMU_LOG_FORMAT": "console",
            },
            cwd=log.parent,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    try:
        _wait_for(process, url, log)
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_with_parent() -> None:
    """On Linux the kernel ends the server when the test process dies, however it dies (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
