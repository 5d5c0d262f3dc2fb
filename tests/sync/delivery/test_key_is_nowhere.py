"""The key appears in nothing that a run leaves behind: logs, errors, events, metadata, database, files."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sandbox_room
from starlette.responses import JSONResponse

from braze_platform.sync.assets import sync_assets


def leaves(folder: Path, key: str) -> list[str]:
    """Files that hold the key."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def said(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> str:
    records = instance.all_logs(result.run_id)
    return "\n".join([str(record) for record in records] + [str(event) for event in result.all_events])


@pytest.mark.parametrize(
    "status", [401, *(pytest.param(other, marks=pytest.mark.full) for other in (201, 400, 403, 500))]
)
def test_whatever_braze_answers(
    room: Any, braze: Any, tmp_path: Path, status: int, caplog: Any, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    key = room.settings.braze_api_key
    if status != 201:
        braze.fault = lambda number, objects: JSONResponse({"message": "no"}, status)
    room.users(20)
    (tmp_path / "dagster").mkdir()
    silent = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=silent) as instance:
        assets = sync_assets(room.sync, room.settings)
        result = dg.materialize([assets], instance=instance, resources=room.resources, raise_on_error=False)
        assert result.success == (status == 201)
        assert key not in said(result, instance)
    shown = capfd.readouterr()
    assert key not in caplog.text and key not in shown.out and key not in shown.err
    assert key not in repr(room.settings) and key not in str(room.settings)
    assert leaves(tmp_path, key) == []


def test_cloud_data_ingestion_too(tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    with sandbox_room.serve(tmp_path, 20, cdi_start_seconds=0.05) as room:
        room.declare(transport="cdi", existing_only=False)
        room.people([f"user-{i}" for i in range(20)])
        key = room.settings.braze_api_key
        run = room.run()
        assert run.report.complete
        room.configure(braze_api_key="another-secret-key-81f2")
        room.people([f"user-{i}" for i in range(20)], score="i + 1")
        refused = room.run()
        assert "401" in refused.report.stopped
    for secret in (key, "another-secret-key-81f2"):
        assert secret not in caplog.text and secret not in str(refused)
        assert leaves(tmp_path, secret) == []


def test_tls_verification_cannot_be_switched_off() -> None:
    package = Path(str(sys.modules["braze_platform"].__file__)).parent
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in ("verify=False", "verify_ssl", "CERT_NONE", "_create_unverified_context", "ssl=False"):
            assert word not in text, f"{path}: {word}"
