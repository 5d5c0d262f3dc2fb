"""A person in every text of every raw table, as the catalogue has them, and nowhere afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_platform.currents.catalogue import personal_fields
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.erasure.erase import PersonalColumns, erase
from braze_platform.erasure.search import Found
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Warehouse
from braze_platform.warehouse.personal_names import HARMLESS
from braze_platform.warehouse.targets import warehouse_of


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return warehouse_of(Settings(state_dir=tmp_path))


def test_no_text_of_a_person_outlives_them_in_any_raw_table(warehouse: Warehouse) -> None:
    """Every text of every event type says who it was, but for those that are names out of a few."""
    identities = {
        "user_id": "b-gone-1",
        "external_user_id": "shop-gone-1",
        "email_address": "gone@example.org",
        "request_id": "r1",
        "orphaned_by_id": "b-lives-1",
    }
    with warehouse.session() as session:
        ensure_raw_tables(session)
        for table in session.table_names("currents_raw"):
            columns = {
                name: kind
                for name, kind in session.columns("currents_raw", table).items()
                if kind == "VARCHAR" and (name in identities or name not in HARMLESS)
            }
            values = [identities.get(name, f"{name} of Gone Person") for name in columns]
            quoted = ", ".join(map(session.sql.quoted, columns))
            session.execute(
                f"insert into {session.sql.table('currents_raw', table)} ({quoted}, _hour) "
                f"values ({', '.join(map(session.sql.literal, values))}, timestamp '2026-11-10 01:00:00')"
            )
    done = erase(warehouse, PersonalColumns(personal_fields(), {}, {}), limit=0)
    assert (done.people, done.left) == (1, Found())
    with warehouse.session() as session:
        for table in session.table_names("currents_raw"):
            text = repr(session.fetch(f"select * from {session.sql.table('currents_raw', table)}"))
            assert not any(trace in text.lower() for trace in ("of gone", "b-gone", "shop-gone", "gone@")), (
                table,
                text,
            )
