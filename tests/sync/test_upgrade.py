"""A warehouse as release 0.1 left it: nothing in it is lost, nothing is sent again, and who only looks is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlglot
from click.testing import CliRunner
from sqlglot import exp

from braze_platform.cli import main
from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.load_numbers import latest_loads
from braze_platform.warehouse.migrations import ALL, MigrationsPending, migrate, pending_migrations

#: What the sync of that release declared last.
SPECS = (
    AttributeSpec("score", "string", "clear"),
    AttributeSpec("channel", "string", "clear"),
    AttributeSpec("Spend ($)", "number", "clear", "spend"),
)
LEDGER = "braze_sync.ledger_braze_customers"


def restore(session: Session) -> None:
    """Run the file's statements, in the warehouse's own SQL and data sets."""
    text = Path(__file__).with_name("release_0_1.sql").read_text(encoding="utf-8")
    for statement in sqlglot.parse(text, read="duckdb"):
        if statement is None or (isinstance(statement, exp.Create) and statement.kind == "VIEW"):
            continue
        if isinstance(statement, exp.Create) and statement.kind == "SCHEMA":
            session.create_schema(statement.this.db, "Of release 0.1.")
            continue
        if session.dialect == "bigquery":
            for table in statement.find_all(exp.Table):
                table.set("db", exp.to_identifier(session.sql.dataset(table.db), quoted=True))  # type: ignore[attr-defined]
        # sqlglot takes DuckDB's TIMESTAMP for one without a zone, which all of the platform's are in UTC.
        session.execute(statement.sql(dialect=session.dialect).replace("DATETIME", "TIMESTAMP"))


@pytest.fixture
def release(room: Any) -> Any:
    room.declare(attributes=SPECS, limits=PlanLimits(max_objects=3, max_first_users=1_000))
    with room.warehouse.session() as session:
        restore(session)
    return room


def kept(room: Any) -> list[tuple[Any, ...]]:
    """What no upgrade may change: the acknowledged values, what is due, deliveries, rejections, approvals."""
    return [
        room.sql(f"select {columns} from braze_sync.{table} order by all")
        for table, columns in (
            ("ledger_braze_customers", '_user, score, channel, "_name_Spend_20__28__24__29_", _resend_score'),
            ("deliveries", "*"),
            ("rejections", "*"),
            ("approvals", "*"),
            ("applied_plans", "*"),
            ("declarations", "*"),
        )
    ]


def test_the_first_run_sends_what_was_due_and_no_more(release: Any, braze: Any) -> None:
    run = release.run("after")
    # By the approval of the plan that the former release made: the same plan has the same id.
    assert run.report.complete and run.report.delivered["score"] == 12
    names = {name for entry in braze.received[0] for name in entry if not name.startswith("_")}
    assert names == {"external_id", "score"}
    assert len(braze.received) == 1
    assert release.sql("select count(*) from braze_sync.approvals where ended_at is null") == [(0,)]
    assert release.run("quiet").plan.objects == 0
    # What Braze had refused before stays refused.
    assert release.sql(
        "select attribute from braze_sync.rejections where resolved_at is null order by 1"
    ) == [("Spend ($)",), ("channel",)]


def test_the_command_does_it_before_and_says_what(release: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in release.settings.as_environment().items():
        monkeypatch.setenv(name, value)
    before = kept(release)
    assert "2 changes of its tables are pending" in CliRunner().invoke(main, ["doctor"]).output
    done = CliRunner().invoke(main, ["upgrade"])
    assert done.exit_code == 0, done.output
    assert f"{len(ALL)} changes were applied" in done.output and ALL[0].description in done.output
    assert kept(release) == before
    assert "up to date" in CliRunner().invoke(main, ["upgrade"]).output
    assert "as this release reads them" in CliRunner().invoke(main, ["doctor"]).output
    with release.warehouse.session() as session:
        assert latest_loads(session) == {"users.messages.email.Open": 2}


def test_who_only_looks_is_told_and_changes_nothing(release: Any) -> None:
    tables = "select database_name, schema_name, table_name, sql from duckdb_tables() order by all"
    before = release.sql(tables)
    with pytest.raises(MigrationsPending, match="braze-platform upgrade"):
        release.plan()
    assert release.sql(tables) == before


def test_killed_anywhere_it_ends_the_same(release: Any) -> None:
    """Each time one statement later, with a ledger from before names were encoded."""
    unencoded = 'rename column "_name_Spend_20__28__24__29_" to "Spend ($)"'
    release.sql(
        f"alter table {LEDGER} {unencoded}",
        f'alter table {LEDGER} add column "_resend_Spend ($)" boolean',
        f"update {LEDGER} set \"_resend_Spend ($)\" = (_user = 'user-3')",
        "select 1",
    )
    statements = 0
    with release.warehouse.session() as session:
        while pending_migrations(session):
            statements += 1
            _migrate_until_killed(session, statements)
            assert statements < 100
    assert statements > 5
    columns = release.sql(f"select * from (describe {LEDGER}) order by 1")
    assert {name for name, *_ in columns if name.startswith("_resend_")} == {
        "_resend_score",
        "_resend_channel",
        "_resend__name_Spend_20__28__24__29_",
    }
    assert release.sql(
        f'select _user, "_name_Spend_20__28__24__29_" from {LEDGER} where "_resend__name_Spend_20__28__24__29_"'
    ) == [("user-3", 0.75)]
    assert release.sql("select * from currents_ledger.loads") == [("users.messages.email.Open", 2)]


class _Killed(BaseException):
    """What no code of ours catches."""


class _Dying:
    """A session that dies before its n-th statement."""

    def __init__(self, session: Session, statements: int) -> None:
        self._session = session
        self._left = statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def execute(self, *arguments: Any) -> None:
        self._left -= 1
        if self._left <= 0:
            raise _Killed
        self._session.execute(*arguments)


def _migrate_until_killed(session: Session, statements: int) -> None:
    try:
        migrate(_Dying(session, statements))  # type: ignore[arg-type]
    except _Killed:
        # A process that died leaves its leases, which its successor on the same file takes over.
        for name in ("_migrations", "braze_customers"):
            table = f"braze_sync.lease_{name}"
            if session.columns("braze_sync", f"lease_{name}"):
                session.execute(f"update {table} set process = 'another' where true")


@pytest.mark.full
def test_on_bigquery(google_room: Any, braze: Any) -> None:
    google_room.declare(attributes=SPECS, limits=PlanLimits(max_objects=3, max_first_users=1_000))
    with google_room.warehouse.session() as session:
        restore(session)
    run = google_room.run("after")
    assert run.report.complete and run.report.delivered["score"] == 12 and len(braze.received) == 1
    assert google_room.run("quiet").plan.objects == 0
    with google_room.warehouse.session() as session:
        assert pending_migrations(session) == []
        assert latest_loads(session) == {"users.messages.email.Open": 2}
