"""Changes of the platform's own tables between releases: numbered, recorded in the warehouse, each applied once.

The first run after an upgrade applies them before it writes anything, or `braze-platform upgrade` does. Each may be
repeated: one that was killed half-way is applied again, and it is recorded once it has taken effect. What belongs to a
sync is changed under that sync's lease, and all of them under a lease of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from braze_platform.warehouse.interface import Session, WarehouseError
from braze_platform.warehouse.leases import RUN_WAIT_SECONDS, hold_lease
from braze_platform.warehouse.ledger_columns import RESEND, ledger_column, resend_column
from braze_platform.warehouse.registry import DATASETS, FILES, LEDGER, LOADS, MIGRATIONS
from braze_platform.warehouse.tables import ensure, now_utc

#: Under this name, no sync's, the lease of those who migrate.
_LEASE = "_migrations"


class MigrationsPending(WarehouseError):
    """The warehouse is as an earlier release left it; the message says what to do."""


@dataclass(frozen=True)
class Migration:
    """One change. `apply` may be called again after it was killed, and finds nothing to do where there is nothing."""

    number: int
    description: str
    apply: Callable[[Session], None]


def pending_migrations(session: Session) -> list[Migration]:
    """The migrations that this warehouse still needs, in order; none in one without tables. Reads only."""
    applied = _applied(session)
    if applied is None:
        # A new one is made as this release has it.
        is_new = not any(session.table_names(dataset.name) for dataset in DATASETS)
        applied = {migration.number for migration in ALL} if is_new else set()
    return [migration for migration in ALL if migration.number not in applied]


def raise_if_pending(session: Session) -> None:
    """For those who only look: raises `MigrationsPending` where the tables are not yet as this release reads them."""
    pending = pending_migrations(session)
    if pending:
        raise MigrationsPending(
            f"The warehouse was written by an earlier release, and {len(pending)} changes of its tables are pending. "
            "Call `braze-platform upgrade`, or wait for the next run, which applies them before anything else."
        )


def migrate(session: Session) -> list[Migration]:
    """Apply what is pending, before anything is written; returns it. When all is recorded this is one small query.

    Waits while another process migrates, and for runs of syncs; raises `LeaseHeld` where that takes too long.
    """
    applied = _applied(session)
    if applied is not None and all(migration.number in applied for migration in ALL):
        return []
    if not pending_migrations(session):
        ensure(session, MIGRATIONS)
        _record(session, ALL)
        return []
    with hold_lease(session, _LEASE, "the upgrade", wait_seconds=RUN_WAIT_SECONDS) as leased:
        pending = pending_migrations(leased)
        ensure(leased, MIGRATIONS)
        for migration in pending:
            migration.apply(leased)
            _record(leased, [migration])
    return pending


def _applied(session: Session) -> set[int] | None:
    """The numbers of what was applied; None where nothing was ever recorded."""
    if not MIGRATIONS.exists(session):
        return None
    return {int(number) for (number,) in session.fetch(f"select number from {MIGRATIONS.ref(session.sql)}")}


def _record(session: Session, migrations: Sequence[Migration]) -> None:
    release, now = version("braze-platform"), now_utc()
    MIGRATIONS.append(session, [(one.number, one.description, release, now) for one in migrations])


def _fit_ledger_columns(session: Session) -> None:
    for sync in LEDGER.found_syncs(session):
        with hold_lease(session, sync, "the upgrade", wait_seconds=RUN_WAIT_SECONDS) as leased:
            ledger = LEDGER.of(sync)
            there = ledger.found_columns(leased)
            quoted, name = leased.sql.quoted, ledger.ref(leased.sql)
            for held in there:
                if held in LEDGER.names or held.startswith(RESEND):
                    continue
                mark = resend_column(held)
                # The mark first: as long as the value has its old name, both are found.
                for before, after in ((RESEND + held, mark), (held, ledger_column(held))):
                    if before in there and before != after:
                        leased.execute(
                            f"alter table {name} rename column {quoted(before)} to {quoted(after)}"
                        )
                if not {RESEND + held, mark} & there.keys():
                    leased.execute(f"alter table {name} add column if not exists {quoted(mark)} boolean")


def _fill_loads(session: Session) -> None:
    if not FILES.exists(session):
        return
    ensure(session, LOADS)
    files, loads = FILES.ref(session.sql), LOADS.ref(session.sql)
    session.execute(
        f"insert into {loads} select event_type, max(load_id) from {files} as loaded where not exists "
        f"(select 1 from {loads} as known where known.event_type = loaded.event_type) group by event_type"
    )


ALL = (
    Migration(
        1,
        "Ledgers: every attribute has a column under its encoded name, and one that marks what is sent again.",
        _fit_ledger_columns,
    ),
    Migration(2, "currents_ledger.loads has the latest load of every event type.", _fill_loads),
)
