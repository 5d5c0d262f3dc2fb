"""The doctor: a line a check, the exact role or setting, and an exit code that a deployment can read."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fault_proxy import Fault, fault_proxy
from google_emulators import GoogleEmulators

from braze_platform.cli import main
from braze_platform.doctor.braze import check_braze, check_clock
from braze_platform.settings import Settings
from braze_platform.sync.workspace import bind, confirm
from braze_platform.warehouse.targets import warehouse_of


class Braze(http.server.BaseHTTPRequestHandler):
    """Takes one key, as `POST /users/export/ids` does, and another that may list no campaigns."""

    def do_GET(self) -> None:
        may_not = self.headers["Authorization"] == "Bearer no-lists" and self.path == "/campaigns/list"
        self._answer(403 if may_not else 200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201 if self.headers["Authorization"] in ("Bearer good", "Bearer no-lists") else 401)

    def _answer(self, status: int) -> None:
        body = b'{"message": "success"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def braze_url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Braze)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def doctor(settings: Settings) -> Result:
    return CliRunner().invoke(main, ["doctor"], env=settings.as_environment())


def test_a_local_installation_that_works(tmp_path: Path, braze_url: str) -> None:
    settings = Settings(state_dir=tmp_path, braze_rest_url=braze_url, braze_api_key="good")
    settings.bucket_dir.mkdir(parents=True)
    with warehouse_of(settings).session():
        pass
    result = doctor(settings)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 8 + 4
    assert all(line.startswith("OK ") for line in lines)


def test_a_local_installation_that_lacks_things(tmp_path: Path, braze_url: str) -> None:
    result = doctor(Settings(state_dir=tmp_path, braze_rest_url=braze_url, braze_api_key="very-secret"))
    assert result.exit_code == 1
    assert "braze-platform sandbox" in result.output
    assert "users.export.ids" in result.output
    assert "very-secret" not in result.output


def test_ledgers_of_another_workspace_are_named(tmp_path: Path, braze_url: str) -> None:
    settings = Settings(state_dir=tmp_path, braze_rest_url=braze_url, braze_api_key="good")
    with warehouse_of(settings).session() as session:
        bind(session, settings.replace(braze_rest_url="https://rest.iad-01.braze.com"))
    [line] = [line for line in doctor(settings).output.splitlines() if "Ledgers" in line]
    assert line.startswith("MISSING  Ledgers: Nothing is sent")
    with warehouse_of(settings).session() as session:
        confirm(session, settings)
    assert "OK       Ledgers: they belong to a sandbox of this machine." in doctor(settings).output


def test_a_permission_that_the_key_lacks_is_named(tmp_path: Path, braze_url: str) -> None:
    settings = Settings(state_dir=tmp_path, braze_rest_url=braze_url, braze_api_key="no-lists")
    settings.bucket_dir.mkdir(parents=True)
    result = doctor(settings)
    assert result.exit_code == 1
    [line] = [line for line in result.output.splitlines() if line.startswith("MISSING")]
    assert "campaigns.list and campaigns.details" in line


def test_an_installation_on_google_that_works(google_settings: Settings, braze_url: str) -> None:
    settings = google_settings.replace(braze_rest_url=braze_url, braze_api_key="good")
    before = doctor(settings)
    assert before.exit_code == 1
    assert [line for line in before.output.splitlines() if line.startswith("MISSING")] == [
        f"MISSING  Dataset {settings.bigquery_dataset_prefix}company: there is no table users in it. Make it a table "
        "or a view of your customers' data with the columns of dbt_project/models/sources/company.yml."
    ]
    assert "nothing under 'currents/' yet" in before.output
    with warehouse_of(settings).session() as session:
        session.create_schema("currents_raw", "Made")
        session.create_schema("company", "The company's own")
        for table in ("users", "orders"):
            session.execute(f"create table {session.sql.table('company', table)} (user_id string)")
    after = doctor(settings)
    assert after.exit_code == 0, after.output
    assert (
        f"OK       Dataset {settings.bigquery_dataset_prefix}currents_raw: it is there, in EU" in after.output
    )


@pytest.mark.parametrize(
    ("fault", "service", "method", "path", "saying", "remedy"),
    [
        (403, "storage", "GET", "/o", b"", "roles/storage.objectViewer on gs://"),
        (404, "storage", "GET", "/o", b"", "BRAZE_PLATFORM_BUCKET"),
        (403, "bigquery", "POST", "/jobs", b"select 1", "roles/bigquery.jobUser on the project"),
        (403, "bigquery", "POST", "/jobs", b"create schema", "roles/bigquery.user on the project"),
        (403, "bigquery", "POST", "/jobs", b"create table", "roles/bigquery.dataEditor on the dataset"),
        (403, "bigquery", "POST", "/jobs", b"_company`.`users", "roles/bigquery.dataViewer on"),
        (403, "bigquery", "GET", "/datasets/", b"", "roles/bigquery.dataEditor on"),
    ],
)
def test_a_missing_right_is_named(
    emulators: GoogleEmulators,
    google_settings: Settings,
    fault: Fault,
    service: str,
    method: str,
    path: str,
    saying: bytes,
    remedy: str,
) -> None:
    with warehouse_of(google_settings).session() as session:
        session.create_schema("currents_raw", "Made")
    url = emulators.storage_url if service == "storage" else emulators.bigquery_url
    with fault_proxy(url) as proxy:
        proxy.fail(fault, path=path, method=method, saying=saying)
        result = doctor(google_settings.replace(**{f"{service}_emulator_url": proxy.url}))
    assert proxy.faults == [fault]
    assert result.exit_code == 1
    assert remedy in result.output


def test_settings_and_locations_are_named(google_settings: Settings) -> None:
    assert "BRAZE_PLATFORM_BUCKET" in doctor(google_settings.replace(bucket_name="")).output
    with warehouse_of(google_settings).session() as session:
        session.create_schema("currents_raw", "Made")
    elsewhere = doctor(google_settings.replace(bigquery_location="US"))
    assert "BRAZE_PLATFORM_BIGQUERY_LOCATION=EU" in elsewhere.output
    assert elsewhere.exit_code == 1


def test_outward_calls_stay_off_and_a_wrong_clock_is_told(
    braze_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_braze(Settings(braze_rest_url="https://rest.example.invalid")).state == "not checked"
    assert check_clock(braze_url).state == "ok"
    earlier = "braze_platform.doctor.braze.parsedate_to_datetime"
    monkeypatch.setattr(earlier, lambda date: parsedate_to_datetime(date) - timedelta(minutes=5))
    fast = check_clock(braze_url)
    assert fast.state == "missing"
    assert "fast" in fast.text
    assert check_clock("http://127.0.0.1:9").state == "not checked"
