"""What tells that something was loaded."""

from installation import Installation

from braze_platform.warehouse.load_numbers import latest_loads

OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"


def test_the_latest_load_of_each_event_type(installation: Installation) -> None:
    with installation.warehouse.session() as session:
        assert latest_loads(session) == {}
        session.create_schema("currents_ledger", "Loads.")
        loads = session.sql.table("currents_ledger", "loads")
        session.execute(f"create table {loads} (event_type string, load_id bigint)")
        assert latest_loads(session) == {}
        session.execute(f"insert into {loads} values ('{OPEN}', 4), ('{CLICK}', 3)")
        assert latest_loads(session) == {OPEN: 4, CLICK: 3}
