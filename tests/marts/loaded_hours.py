"""Raw tables and the file registry as loads leave them, hour by hour, and models built over them by the real assets."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
from dbt_runs import dbt
from installation import Installation

from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.file_registry import ensure_file_registry
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings

SEND = "users.messages.email.Send"


def seconds(at: str) -> int:
    """A UTC time as Currents writes it."""
    return int(datetime.fromisoformat(at).replace(tzinfo=timezone.utc).timestamp())


def event(event_id: str, at: str | int, user: str = "ada", **values: object) -> dict[str, object]:
    """An event of a user (Braze id `b-<user>`, external id `<user>`)."""
    time = seconds(at) if isinstance(at, str) else at
    return {"id": event_id, "user_id": f"b-{user}", "external_user_id": user, "time": time, **values}


class LoadedHours(Installation):
    """One installation whose raw tables are written by hand."""

    def __init__(self, folder: Path, **more_settings: Any) -> None:
        super().__init__(Settings(state_dir=folder, **more_settings))
        self.loads = 0
        self.last_checks: dict[str, bool] = {}
        self.descriptions: dict[str, str] = {}
        with self.warehouse.session() as session:
            ensure_raw_tables(session)
            ensure_file_registry(session)
        self.instance = dg.DagsterInstance.ephemeral()
        self.definitions = marts_definitions(self.settings, prepare_manifest(self.settings))

    def load(self, hour: str, *events: dict[str, object], event_type: str = SEND, file: str = "a") -> None:
        """Make these events all that an hour (`2026-03-01 10`) of an event type holds."""
        self.loads += 1
        table, at = catalogue()[event_type].table, f"{hour}:00:00"
        with self.warehouse.session() as session:
            session.execute(f"delete from currents_raw.{table} where _hour = timestamp '{at}'")
            for values in events:
                row = {**values, "_file": file, "_version": "12"}
                names = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join(f"${name}" for name in row)
                session.execute(
                    f"insert into currents_raw.{table} ({names}, _hour, _loaded_at) "
                    f"values ({marks}, timestamp '{at}', timestamp '{at}')",
                    row,
                )
            session.execute(
                f"delete from currents_ledger.files where event_type = '{event_type}' and hour = timestamp '{at}'"
            )
            session.execute(
                "insert into currents_ledger.files values "
                f"($type, timestamp '{at}', $key, 'g', $size, $rows, '12', $load, timestamp '{at}')",
                {
                    "type": event_type,
                    "key": file if events else "",
                    "size": 100 if events else 0,
                    "rows": len(events),
                    "load": self.loads,
                },
            )
            session.execute(f"delete from currents_ledger.loads where event_type = '{event_type}'")
            session.execute(f"insert into currents_ledger.loads values ('{event_type}', {self.loads})")

    def build(self, *models: str) -> dg.ExecuteInProcessResult:
        """Build and test some models (`staging/<name>`) in one run, as automation does."""
        return self._build([dg.AssetKey(model.split("/")) for model in models])

    def build_all(self) -> dg.ExecuteInProcessResult:
        """Build and test all models."""
        return self._build(None)

    def _build(self, keys: list[dg.AssetKey] | None) -> dg.ExecuteInProcessResult:
        done = dg.materialize(
            list(self.definitions.assets or []),
            selection=keys,
            instance=self.instance,
            resources=self.definitions.resources,
            raise_on_error=False,
        )
        checks = done.get_asset_check_evaluations()
        self.last_checks = {check.check_name: check.passed for check in checks}
        self.descriptions = {check.check_name: check.description or "" for check in checks}
        return done

    def build_by_hand(self, model: str, *options: str) -> str:
        """`dbt build` of one model, without the platform's hours; what dbt says."""
        return dbt(self.settings, "build", "--select", model, *options)

    def forget_builds(self) -> None:
        """As a changed macro or variable: what was built has another code, so all is built as a whole."""
        self.execute(
            "update marts_ledger.builds set code = 'of an earlier version' where model not like '(%'"
        )
