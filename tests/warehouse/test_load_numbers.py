"""What tells that something was loaded."""

from braze_platform.settings import Settings
from braze_platform.warehouse.load_numbers import latest_loads
from braze_platform.warehouse.targets import warehouse_of

OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"


def test_the_latest_load_of_each_event_type(settings_of_either: Settings) -> None:
    with warehouse_of(settings_of_either).session() as session:
        assert latest_loads(session) == {}
        session.create_schema("currents_ledger", "Loads.")
        files, loads = (session.sql.table("currents_ledger", name) for name in ("files", "loads"))
        session.execute(f"create table {files} (event_type string, load_id bigint)")
        session.execute(f"insert into {files} values ('{OPEN}', 1), ('{OPEN}', 2), ('{CLICK}', 3)")
        # An older installation had no such table; a new one has it empty until its first load.
        assert latest_loads(session) == {OPEN: 2, CLICK: 3}
        session.execute(f"create table {loads} (event_type string, load_id bigint)")
        assert latest_loads(session) == {OPEN: 2, CLICK: 3}
        session.execute(f"insert into {loads} values ('{OPEN}', 4), ('{CLICK}', 3)")
        assert latest_loads(session) == {OPEN: 4, CLICK: 3}
