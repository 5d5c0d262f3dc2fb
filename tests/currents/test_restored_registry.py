"""After a warehouse was lost and its backup brought back, the bucket is loaded again, under numbers that go on."""

from __future__ import annotations

from currents_files import Deliveries, currents_file, opens
from installation import TABLE, Installation

from braze_platform.backup.making import make_backup
from braze_platform.backup.restoring import restore
from braze_platform.settings import Settings
from braze_platform.warehouse.load_numbers import latest_loads


def test_what_was_loaded_is_loaded_again(settings: Settings, deliveries: Deliveries) -> None:
    installation = Installation(settings)
    deliveries.put(currents_file(hour="2026-11-10-05"), opens("a", "b"))
    deliveries.put(currents_file(hour="2026-11-10-06"), opens("c"))
    installation.load_opens()
    deliveries.put(currents_file(hour="2026-11-10-06", offset=9), opens("d"))
    installation.load_opens()
    rows = f"select id, _hour, _file from {TABLE} order by id"
    registry = "select object_key, generation, row_count from currents_ledger.files order by 1"
    before = installation.fetch(rows), installation.fetch(registry)
    make_backup(settings)

    settings.duckdb_path.unlink()
    assert restore(settings).not_loaded == 3
    again = installation.load_opens()
    assert (again.files_loaded, again.files_unchanged) == (3, 0)
    assert (installation.fetch(rows), installation.fetch(registry)) == before
    with installation.warehouse.session() as session:
        assert min(latest_loads(session).values()) > 2

    restored = restore(settings, replacing=True)
    assert restored.not_loaded == 0
    unchanged = installation.load_opens()
    assert (unchanged.files_loaded, unchanged.files_unchanged) == (0, 3)
    assert (installation.fetch(rows), installation.fetch(registry)) == before
