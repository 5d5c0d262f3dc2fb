"""Whatever rows the platform's tables have, a restored backup gives them back: all that nothing can rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from backup_room import SYNCS, contents, fill, warehouse

from braze_platform.backup.making import make_backup
from braze_platform.backup.restoring import restore
from braze_platform.settings import Settings
from braze_platform.sync.ledger.holds import HOLD_ROW, RESTORED
from braze_platform.warehouse.registry import all_tables

#: What a restore writes into what it brings back: each has a test of its own.
CHANGED = {
    "currents_ledger.files",
    "currents_ledger.file_schemas",
    "braze_sync.approvals",
    "braze_sync.declarations",
}


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 8))]
)
def test_a_restored_backup_is_what_was_backed_up(tmp_path: Path, seed: int) -> None:
    settings = Settings(state_dir=tmp_path)
    fill(settings, seed)
    before = contents(settings)
    made = make_backup(settings)
    assert contents(settings) == before, "a backup changes nothing"
    settings.duckdb_path.rename(tmp_path / "lost.duckdb")
    restored = restore(settings)
    assert restored.folder == made.folder and restored.held_syncs == sorted(SYNCS)
    after = contents(settings)
    # the next erasure searches everything
    assert after.pop("privacy.progress")[2] == []
    kept = {name: table for name, table in before.items() if not is_rebuilt(name)}
    assert without(after, CHANGED) == without(kept, CHANGED)
    assert after.keys() == kept.keys()
    assert declared(after["braze_sync.declarations"]) == declared(before["braze_sync.declarations"])


def is_rebuilt(name: str) -> bool:
    """By the registry alone, name by name."""
    for table in all_tables():
        if name in {table.full_name} | {table.of(sync, "0" * 32).full_name for sync in SYNCS}:
            return bool(table.rebuilt_by)
    raise AssertionError(name)


def without(tables: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: table for name, table in tables.items() if name not in names}


def declared(table: Any) -> Any:
    columns, comment, rows = table
    return columns, comment, [row for row in rows if HOLD_ROW not in row[0]]


def test_every_table_is_backed_up_or_says_what_rebuilds_it() -> None:
    rebuilt = {table.full_name: table.rebuilt_by for table in all_tables() if table.rebuilt_by}
    assert rebuilt.keys() == {
        *("marts_ledger.builds", "marts_ledger.failed_tests", "marts_ledger.late_hours"),
        *("privacy.progress", "privacy.left_behind", "braze_sync.request_usage", "braze_sync.lease_<sync>"),
        *("braze_sync.plan_<lease>_<sync>", "braze_sync.plan_objects_<lease>_<sync>"),
        *("braze_sync.retyped_<sync>", "braze_sync.cdi_staged_<sync>"),
    }
    assert all(by.startswith(("the next ",)) for by in rebuilt.values())


def test_every_sync_is_held_after_a_restore(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    fill(settings, 1)
    made = make_backup(settings)
    settings.duckdb_path.unlink()
    restore(settings)
    with warehouse(settings).session() as session:
        rows = session.fetch(
            f"select sync, type from braze_sync.declarations where attribute = '{HOLD_ROW}' order by 1"
        )
    assert rows == [(sync, f"{RESTORED}{made.manifest.made_at_text}") for sync in sorted(SYNCS)]
