"""The table that Cloud Data Ingestion reads, and the runs that wrote it.

`cdi_<sync>` has Braze's columns (https://www.braze.com/docs/user_guide/data/unification/cloud_ingestion/integrations):
one row per user, in a run of its own. `UPDATED_AT` rises strictly from row to row and from run to run and lies in the
past, since Braze takes a row only above the last one it saw, and a future one would block all that follow. The rows of
a run are written in one transaction and pruned when it is settled, so that no schedule of Braze's sends them later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.ledger.store import SCHEMA, SyncStore
from braze_platform.sync.values.values import decode, encode
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.registry import CDI, CDI_RUNS, CDI_STAGED
from braze_platform.warehouse.tables import ensure

BATCH_ROWS = 50_000
_NOT_PAYLOAD = ("external_id", "user_alias", "braze_id", "_update_existing_only")


@dataclass(frozen=True)
class WrittenRun:
    """The rows of one run in the table."""

    rows: int
    first: datetime
    last: datetime


class CdiTable:
    """The CDI table of one sync in the warehouse."""

    def __init__(self, store: SyncStore, exports: Path) -> None:
        self.store = store
        self._session, self._sync = session, sync = store.session, store.sync
        self.runs = CDI_RUNS.ref(session.sql)
        self._exports = exports
        self.name = CDI.of(sync.name).name
        self.table = CDI.of(sync.name).ref(session.sql)
        self._staged = CDI_STAGED.of(sync.name).ref(session.sql)

    def prepare(self) -> None:
        """Create what is missing; the table is there, if empty, before an integration can be made over it."""
        ensure(self._session, CDI.of(self._sync.name), CDI_RUNS)
        self.export()

    def last_updated_at(self) -> datetime | None:
        """The newest `UPDATED_AT` of any run so far."""
        found: datetime | None = self._session.fetch(
            f"select max(last_updated_at) from {self.runs} where sync = $sync", {"sync": self._sync.name}
        )[0][0]
        return found

    def planned_rows(self) -> int:
        """How many rows the plan would write."""
        query = f"select count(*) from {self.store.objects} where _object is not null"
        return int(self._session.fetch(query)[0][0])

    def write(
        self, specs: Sequence[AttributeSpec], run_id: str, first: datetime, now: datetime
    ) -> WrittenRun:
        """Replace the table's rows by the plan's objects, in one transaction, with `UPDATED_AT` from `first` on."""
        session = self._session
        session.execute(session.sql.create_table(CDI_STAGED.of(self._sync.name), replacing=True))
        query = f"select _object from {self.store.objects} where _object is not null"
        count = 0
        for batch in session.fetch_batches(query, rows=BATCH_ROWS):
            rows = []
            for text in batch.column(0).to_pylist():
                rows.append(self._row(text, first + timedelta(microseconds=count)))
                count += 1
            staged = pa.Table.from_pylist(rows, schema=CDI_STAGED.schema())
            with session.attached("_staged", staged) as added:
                session.execute(f"insert into {self._staged} select * from {added} as added")
        last = first + timedelta(microseconds=count - 1)
        names = ", ".join(CDI.names[2:])
        with session.transaction():
            session.execute(f"delete from {self.table} where true")
            payload = session.sql.parse_json("PAYLOAD")
            session.execute(
                f"insert into {self.table} select UPDATED_AT, {payload}, {names} from {self._staged}"
            )
            session.execute(
                f"insert into {self.runs} values ($sync, $run, $attributes, $rows, $first, $last, $now, 'written', "
                "null, null, null)",
                {
                    "sync": self._sync.name,
                    "run": run_id,
                    "attributes": json.dumps([spec.name for spec in specs]),
                    "rows": count,
                    "first": first,
                    "last": last,
                    "now": now,
                },
            )
        session.execute(f"drop table {self._staged}")
        self.export()
        return WrittenRun(count, first, last)

    def _row(self, text: str, moment: datetime) -> dict[str, object]:
        """A planned object as a row: its identifier in a column, the rest as payload."""
        content = cast("dict[str, Any]", decode(text))
        kind = self._sync.identifier.kind
        identifiers: dict[str, object] = (
            {
                "ALIAS_NAME": content["user_alias"]["alias_name"],
                "ALIAS_LABEL": content["user_alias"]["alias_label"],
            }
            if kind == "user_alias"
            else {kind.upper(): content[kind]}
        )
        for name in (*_NOT_PAYLOAD, kind):
            content.pop(name, None)
        return {"UPDATED_AT": moment, "PAYLOAD": encode(content), **identifiers}

    def settle(self, status: str, synced: int, failed: int, now: datetime) -> None:
        """Prune the table and close its run, in one transaction."""
        with self._session.transaction():
            self._session.execute(f"delete from {self.table} where true")
            self._session.execute(
                f"update {self.runs} set status = $status, rows_synced = $synced, rows_failed = $failed, "
                "settled_at = $now where sync = $sync and settled_at is null",
                {"status": status, "synced": synced, "failed": failed, "now": now, "sync": self._sync.name},
            )
        self.export()

    def has_unsettled_run(self) -> bool:
        """Whether a run wrote rows and was killed, or gave up waiting, before it knew what became of them."""
        if not CDI_RUNS.exists(self._session):
            return False
        return bool(
            self._session.fetch(
                f"select 1 from {self.runs} where sync = $sync and settled_at is null limit 1",
                {"sync": self._sync.name},
            )
        )

    def mark_unsettled_values(self) -> None:
        """Mark in the ledger what an unsettled run may have changed at Braze, so that it is sent again.

        Otherwise a value that has meanwhile gone back to the acknowledged one would never be corrected.
        """
        session, store = self._session, self.store
        kind = self._sync.identifier.kind
        keys = ("ALIAS_NAME", "ALIAS_LABEL") if kind == "user_alias" else (kind.upper(),)
        ledger = session.columns(SCHEMA, store.ledger_name)
        payload = "to_json_string(PAYLOAD)" if session.dialect == "bigquery" else "cast(PAYLOAD as varchar)"
        query = f"select {', '.join(keys)}, {payload} as PAYLOAD from {self.table}"
        for batch in session.fetch_batches(query, rows=BATCH_ROWS):
            users: dict[str, list[int]] = {}
            for position, text in enumerate(batch.column("PAYLOAD").to_pylist()):
                for name in json.loads(text):
                    users.setdefault(name, []).append(position)
            for name, positions in users.items():
                if ledger_column(name) not in ledger:
                    continue
                flag = session.sql.quoted(resend_column(name))
                marked = pa.table(
                    {key: batch.column(i).take(pa.array(positions)) for i, key in enumerate(store.keys)}
                )
                with session.attached("_marked", marked) as rows:
                    session.execute(
                        f"update {store.ledger} as l set {flag} = true from {rows} m "
                        f"where {store.on_key('l', 'm')}"
                    )

    def export(self) -> None:
        """On the local target, lay a copy for the sandbox, which cannot open the warehouse file meanwhile."""
        if self._session.dialect != "duckdb":
            return
        self._exports.mkdir(parents=True, exist_ok=True)
        target = self._exports / f"{self.name}.parquet"
        unfinished = target.with_suffix(".unfinished")
        path = str(unfinished).replace("'", "''")
        self._session.execute(f"copy (select * from {self.table}) to '{path}' (format parquet)")
        unfinished.replace(target)
