"""One writer per sync: a lease in the warehouse, which whoever writes to a sync's tables holds.

`braze_sync.lease_<sync>` has one row: who holds the lease, since when and until when. Each sync has a table of its own,
because BigQuery cancels one of two transactions that change the same table, whichever rows they change
(https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency). For the same reason every transaction of
a holder renews its lease first: a transaction that only read the row would not collide with a takeover.

The warehouse's clock counts (`present`), so that clocks of machines need not agree; by its own (`uptime`) a holder
knows when to renew.
"""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import pyarrow as pa

from braze_platform.warehouse.interface import (
    Row,
    Session,
    StatementConflict,
    WarehouseBusy,
    WarehouseError,
)
from braze_platform.warehouse.registry import BRAZE_SYNC, LEASE
from braze_platform.warehouse.sql import Dialect, Sql
from braze_platform.warehouse.tables import Table

#: How long a lease lasts without being renewed. Longer than a transaction may be retried (`bigquery_jobs.Patience`).
LIFETIME = timedelta(minutes=15)
#: How long before its end a holder that could not renew stops sending: requests in flight end meanwhile.
MARGIN = timedelta(minutes=3)
#: How long a run waits for a lease: a little longer than a holder that crashed keeps it.
RUN_WAIT_SECONDS = 960.0
#: How long a command waits for a lease; a person reads who holds it, and decides.
COMMAND_WAIT_SECONDS = 5.0
_RENEW_AFTER = LIFETIME / 5
_PAUSE_SECONDS = 2.0
#: This process. A DuckDB file belongs to one process at a time, so a lease of another one in it was left by a crash.
_PROCESS = uuid.uuid4().hex

#: The table that a statement makes, fills or drops.
_TARGET = re.compile(
    r"\s*(?:create(?: or replace)? table|insert into|drop table(?: if exists)?)\s+(\S+)", re.IGNORECASE
)


class LeaseHeld(WarehouseBusy):
    """Somebody else holds the lease; the message says who, since when, until when, and what to do."""


class LeaseLost(WarehouseError):
    """The lease expired and somebody else has taken it; nothing was written since."""


class LeasedSession:
    """A session that writes only while its lease is held; see `interface.Session`.

    Statements that change rows run in a transaction that renews the lease first and fails when it was lost. Before
    other statements that write (BigQuery alters no tables inside transactions) the lease is renewed by itself.
    """

    def __init__(self, session: Session, sync: str, token: str, holder: str) -> None:
        self._session = session
        self.sync = sync
        #: Names this lease and nothing else; 32 hexadecimal digits.
        self.token = token
        self.holder = holder
        self._table = lease_table(session.sql, sync)
        self._lock = threading.RLock()
        self._local = threading.local()
        self._renewed_at = uptime()

    @property
    def dialect(self) -> Dialect:
        """See `Session.dialect`."""
        return self._session.dialect

    @property
    def sql(self) -> Sql:
        """See `Session.sql`."""
        return self._session.sql

    @property
    def driver_errors(self) -> tuple[type[Exception], ...]:
        """See `Session.driver_errors`."""
        return self._session.driver_errors

    def create_schema(self, name: str, description: str) -> None:
        """See `Session.create_schema`."""
        self._session.create_schema(name, description)

    def make_tables(self, tables: Sequence[Table]) -> None:
        """See `Session.make_tables`; raises `LeaseLost` instead of making any without the lease."""
        self.renew()
        self._session.make_tables(tables)

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """See `Session.execute`; raises `LeaseLost` instead of writing without the lease."""
        if getattr(self._local, "inside", False) or _is_harmless(sql, self.token):
            self._session.execute(sql, parameters)
        elif sql.lstrip().lower().startswith(("insert", "update", "delete", "merge")):
            with self.transaction():
                self._session.execute(sql, parameters)
        else:
            self.renew()
            self._session.execute(sql, parameters)

    def fetch(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """See `Session.fetch`; raises `LeaseLost` when the holder's own tables went with the lease."""
        with self._losing():
            return self._session.fetch(sql, parameters)

    def fetch_batches(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, rows: int = 50_000
    ) -> Iterator[pa.RecordBatch]:
        """See `Session.fetch_batches`; keeps the lease while the result is read."""
        batches = self._session.fetch_batches(sql, parameters, rows=rows)
        while True:
            with self._losing():
                batch = next(batches, None)
            if batch is None:
                return
            self.keep()
            yield batch

    def attached(self, name: str, data: pa.Table) -> AbstractContextManager[str]:
        """See `Session.attached`."""
        return self._session.attached(name, data)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Session.transaction`; all of it or, without the lease, nothing takes effect, with `LeaseLost`."""
        with self._lock:
            began = uptime()
            with self._losing(), self._session.transaction():
                self._local.inside = True
                try:
                    for statement in self._renewing():
                        self._session.execute(statement)
                    yield
                finally:
                    self._local.inside = False
            self._renewed_at = began

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """See `Session.columns`."""
        return self._session.columns(schema, table)

    def table_names(self, schema: str) -> list[str]:
        """See `Session.table_names`."""
        return self._session.table_names(schema)

    def renew(self) -> None:
        """Renew the lease; raises `LeaseLost`."""
        with self.transaction():
            pass

    def keep(self) -> None:
        """Renew the lease when a fifth of its lifetime has passed since the last renewal; raises `LeaseLost`.

        Until then this costs nothing. Inside a transaction, or while another thread is in one, it does nothing: the
        transaction renews.
        """
        if uptime() - self._renewed_at < _RENEW_AFTER.total_seconds():
            return
        if getattr(self._local, "inside", False) or not self._lock.acquire(blocking=False):
            return
        try:
            self.renew()
        finally:
            self._lock.release()

    def is_ending(self) -> bool:
        """Whether the lease may be somebody else's soon: then nothing may be sent until it is renewed."""
        return uptime() - self._renewed_at > (LIFETIME - MARGIN).total_seconds()

    def raise_if_ending(self) -> None:
        """Raise `LeaseLost` when the lease may be somebody else's soon."""
        if self.is_ending():
            raise LeaseLost(
                f"The lease of {self.sync}, held by {self.holder}, could not be renewed in time, so sending stopped. "
                "What was not acknowledged is due again in the next run."
            )

    def release(self) -> None:
        """Give the lease back; a lease that was lost stays whose it is."""
        self._session.execute(
            f"update {self._table} set token = null, holder = null, process = null, expires_at = null "
            f"where token = '{self.token}'"
        )

    def _renewing(self) -> tuple[str, str]:
        return (
            f"update {self._table} set expires_at = {_after(present())} where token = '{self.token}'",
            f"select case when exists (select 1 from {self._table} where token = '{self.token}') then 1 "
            f"else error('the lease of {self.sync} was lost') end",
        )

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """Name the loss of the lease, where that is why something fails."""
        try:
            yield
        except Exception as error:
            # Inside a transaction its end tells: until then nothing else can be asked.
            if isinstance(error, LeaseLost) or getattr(self._local, "inside", False) or self._is_held():
                raise
            raise self._lost() from error

    def _is_held(self) -> bool:
        return bool(self._session.fetch(f"select 1 from {self._table} where token = '{self.token}'"))

    def _lost(self) -> LeaseLost:
        found = holder_of(self._session, self.sync)
        now = f"{found} has taken it" if found else "nobody holds it now"
        return LeaseLost(
            f"The lease of {self.sync} expired while {self.holder} held it, and {now}. Nothing was written since; "
            "what was not acknowledged is due again in the next run."
        )


def lease_table(sql: Sql, sync: str) -> str:
    """The table with the lease of a sync."""
    return LEASE.of(sync).ref(sql)


@contextmanager
def hold_lease(session: Session, sync: str, holder: str, *, wait_seconds: float) -> Iterator[LeasedSession]:
    """Take the lease of a sync, and give a session that writes under it; released when the context ends.

    `holder` says for people what holds it, e.g. "the run 6f2c" or "braze-platform approve". Waits while somebody else
    holds it, up to `wait_seconds`, and raises `LeaseHeld` then.
    """
    session.create_schema(BRAZE_SYNC.name, BRAZE_SYNC.description)
    deadline = time.monotonic() + wait_seconds
    while not _taken(session, leased := LeasedSession(session, sync, uuid.uuid4().hex, holder)):
        if time.monotonic() >= deadline:
            raise LeaseHeld(
                f"The tables of the sync {sync} are being written by {holder_of(session, sync) or 'somebody else'}. "
                "Wait for its end and try again; the lease of a process that crashed can be taken once it has expired."
            )
        time.sleep(min(_PAUSE_SECONDS * random.uniform(0.5, 1.0), max(0.0, deadline - time.monotonic())))
    try:
        yield leased
    finally:
        leased.release()


def holder_of(session: Session, sync: str) -> str | None:
    """Who holds the lease of a sync, since when and until when (UTC); None when nobody does. Reads only."""
    if not LEASE.of(sync).exists(session):
        return None
    found = session.fetch(
        f"select holder, since, expires_at from {lease_table(session.sql, sync)} where token is not null"
    )
    if not found:
        return None
    holder, since, expires_at = found[0]
    return f"{holder}, since {since:%Y-%m-%d %H:%M:%S} until {expires_at:%Y-%m-%d %H:%M:%S} UTC"


def leased_syncs(session: Session) -> list[str]:
    """The syncs of which a lease was ever taken, in order."""
    return LEASE.found_syncs(session)


def _taken(session: Session, leased: LeasedSession) -> bool:
    """Take the lease if it is free or has expired, and read back whose it is."""
    sql, now = session.sql, present()
    table = lease_table(sql, leased.sync)
    empty = ", ".join(
        f"cast(null as {kind}) as {name}" for name, kind in LEASE.types.items() if name != "sync"
    )
    free = f"token is null or expires_at <= {now}"
    if session.dialect == "duckdb":
        free += f" or process <> '{_PROCESS}'"
    try:
        # The row is made with the table, so that there is never more than one.
        session.execute(
            f"create table if not exists {table} as select {sql.literal(leased.sync)} as sync, {empty}"
        )
        session.execute(
            f"update {table} set token = '{leased.token}', holder = $holder, process = '{_PROCESS}', since = {now}, "
            f"expires_at = {_after(now)} where {free}",
            {"holder": f"{leased.holder} on {socket.gethostname()} (process {os.getpid()})"},
        )
    except StatementConflict:
        return False
    return bool(session.fetch(f"select 1 from {table} where token = '{leased.token}'"))


def uptime() -> float:
    """Seconds by which a holder knows how old its lease is.

    They also pass while the machine is suspended, where the system counts them (Linux).
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def present() -> str:
    """The present, by which a lease expires, as SQL."""
    return "cast(current_timestamp as timestamp)"


def _after(now: str) -> str:
    return f"{now} + interval {int(LIFETIME.total_seconds())} second"


def _is_harmless(sql: str, token: str) -> bool:
    """Whether a statement may run without the lease: it changes nothing that is there, or only the holder's tables."""
    own = _TARGET.match(sql)
    if own is not None and token in own[1]:
        return True
    return sql.lstrip().lower().startswith(("create table if not exists", "select", "with"))
