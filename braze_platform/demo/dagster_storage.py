"""Where Dagster keeps runs, events and ticks on one machine: its own SQLite files, opened once for each process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

#: Every run has a file of its own; a webserver that shows many runs need not hold all of them open.
OPEN_DATABASES = 16


class OpenDatabases:
    """One SQLAlchemy engine for each of the databases used last, its connections kept open for further use.

    Dagster's SQLite storages make an engine for every statement. That compiles each statement again and opens and
    closes the file, and whoever closes the last connection to a database in write-ahead mode makes SQLite write all of
    the log back and remove it (https://www.sqlite.org/wal.html, section 2.2). Together that is two thirds of the time
    of a run over hundreds of assets (`benchmarks/dagster_events.py`).

    A commit does not wait for the disk (`synchronous = normal`, https://www.sqlite.org/pragma.html#pragma_synchronous):
    in write-ahead mode a process that dies loses nothing by that, a machine that loses power the last moments at most.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: OrderedDict[str, Engine] = OrderedDict()

    def engine(self, connection_string: str) -> Engine:
        """The engine of a database, which is opened by its first statement."""
        with self._lock:
            engine = self._engines.pop(connection_string, None) or _engine(connection_string)
            self._engines[connection_string] = engine
            if len(self._engines) > OPEN_DATABASES:
                _, least_recently_used = self._engines.popitem(last=False)
                # Connections in use are closed when they are given back.
                least_recently_used.dispose()
            return engine

    @contextmanager
    def transaction(self, connection_string: str) -> Iterator[Connection]:
        """A connection inside one transaction: committed at the end, rolled back by an exception."""
        with self.engine(connection_string).begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all databases; the next statement opens its own again."""
        with self._lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()


def _engine(connection_string: str) -> Engine:
    engine = create_engine(
        connection_string,
        poolclass=QueuePool,
        # As many threads as ask at once (a webserver's) each get a connection; one stays open.
        pool_size=1,
        max_overflow=-1,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def do_not_wait_for_the_disk(connection: Any, _: Any) -> None:
        connection.execute("pragma synchronous = normal")

    return engine


class OpenEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log, its databases kept open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open_databases = OpenDatabases()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            connection_string = self.conn_string_for_shard(shard)
            if shard not in self._initialized_dbs:
                self._initdb(self._open_databases.engine(connection_string))
                self._initialized_dbs.add(shard)
            with self._open_databases.transaction(connection_string) as connection:
                yield connection

    def wipe(self) -> None:
        """Remove all events of all runs."""
        # The files are removed: a connection that stays open would go on writing to what nobody sees.
        self._open_databases.close()
        super().wipe()

    def dispose(self) -> None:
        """Close the databases; what is asked afterwards opens them again."""
        super().dispose()
        self._open_databases.close()


class _OneOpenDatabase:
    """What runs and ticks have in common: one database each, by its connection string."""

    _conn_string: str

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open_databases = OpenDatabases()
        super().__init__(conn_string, inst_data)  # type: ignore[call-arg]

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection inside one transaction."""
        with self._open_databases.transaction(self._conn_string) as connection:
            yield connection

    def dispose(self) -> None:
        """Close the database; what is asked afterwards opens it again."""
        super().dispose()  # type: ignore[misc]
        self._open_databases.close()


class OpenRunStorage(_OneOpenDatabase, SqliteRunStorage):
    """Dagster's runs, their database kept open."""


class OpenScheduleStorage(_OneOpenDatabase, SqliteScheduleStorage):
    """Dagster's ticks and cursors, their database kept open."""


class OpenSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage over the same files in the same layout, so that either reads what the other wrote.

    For `dagster.yaml`::

        storage:
          custom:
            module: braze_platform.demo.dagster_storage
            class: OpenSqliteStorage
            config:
              base_dir: /path/to/dagster-home
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        plain_runs, plain_events, plain_schedules = (
            self._run_storage,
            self._event_log_storage,
            self._schedule_storage,
        )
        self._run_storage = OpenRunStorage(plain_runs._conn_string)
        self._event_log_storage = OpenEventLogStorage(plain_events._base_dir)
        self._schedule_storage = OpenScheduleStorage(plain_schedules._conn_string)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> OpenSqliteStorage:
        """Dagster's way to make a storage from its configuration."""
        return cls.from_local(inst_data=inst_data, **config_value)
