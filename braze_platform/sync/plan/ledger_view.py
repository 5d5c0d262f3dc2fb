"""A sync's ledger as a run would find it after its migrations, for those who only look: read, and never written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from braze_platform.sync.ledger.identifier_change import IDENTIFIER_ROW, KEYS_ROW, ledger_with_new_keys
from braze_platform.sync.ledger.ledger_shape import identifier_text, keys_text, model_columns
from braze_platform.sync.ledger.store import SCHEMA, SyncStore
from braze_platform.sync.plan.preflight import merged_users
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.migrations import raise_if_pending
from braze_platform.warehouse.registry import CDI_RUNS, DECLARATIONS, REJECTIONS


@contextmanager
def view_tables(store: SyncStore) -> Iterator[list[str]]:
    """Let the store name relations in place of tables that a run would make or change first.

    While the context lasts, `store.ledger` and `store.rejections` may be read and not written. Gives what a run would
    do first, in words. Raises `LedgerError` as `prepare_tables` does, and `MigrationsPending`.
    """
    raise_if_pending(store.session)
    sync = store.sync
    model = model_columns(store)
    first: list[str] = []
    existing = store.session.columns(SCHEMA, store.ledger_name)
    declared: dict[str, str] = {}
    if DECLARATIONS.exists(store.session):
        query = f"select attribute, type from {store.declarations} where sync = $sync"
        declared = dict(store.session.fetch(query, {"sync": sync.name}))
    with ExitStack() as used:
        source, where = store.ledger, ""
        known, wanted = declared.get(IDENTIFIER_ROW), identifier_text(sync)
        if existing and known is not None and known != wanted:
            source = used.enter_context(ledger_with_new_keys(store, known, wanted, model))
            if source != store.ledger:
                first.append(f"give the users of the ledger their keys under {wanted}, instead of {known}")
        if (
            existing
            and declared.get(KEYS_ROW) != keys_text(sync)
            and sync.identifier.kind in ("email", "phone")
        ):
            first.append(
                "bring the keys of the ledger to their canonical form; this plan may have less to send then"
            )
        columns = _viewed_columns(store, model, existing, declared, first)
        merged = merged_users(store) if existing else None
        if merged is not None:
            where = f" where _user not in {merged}"
            [(gone,)] = store.session.fetch(f"select count(*) from {source} as held where _user in {merged}")
            if gone:
                first.append(f"forget {int(gone):,} users whose profiles were merged into others")
        _note_open_cdi_run(store, first)
        store.ledger = (
            f"(select {', '.join(columns)} from {source} as held{where})"
            if existing
            else f"(select {', '.join(columns)} limit 0)"
        )
        if not REJECTIONS.exists(store.session):
            nulls = ", ".join(_null(name, kind) for name, kind in REJECTIONS.types.items())
            store.rejections = f"(select {nulls} limit 0)"
        yield first


def _viewed_columns(
    store: SyncStore,
    model: Mapping[str, str],
    existing: Mapping[str, str],
    declared: Mapping[str, str],
    first: list[str],
) -> list[str]:
    """The columns of the ledger as the sync declares them; adds to `first` what a run would convert."""
    sync, sql = store.sync, store.sql
    columns = [*store.keys, "_acknowledged_at"] if existing else [_null(key, "string") for key in store.keys]
    if not existing:
        columns.append(_null("_acknowledged_at", "timestamp"))
    for spec in sync.attributes:
        kind = model[spec.column]
        name, flag = ledger_column(spec.name), resend_column(spec.name)
        column = sql.quoted(name)
        columns.append(sql.quoted(flag) if flag in existing else _null(sql.quoted(flag), "boolean"))
        if name not in existing:
            columns.append(_null(column, kind))
            continue
        converted = sql.try_cast(f"cast({column} as string)", kind)
        columns.append(column if existing[name] == kind else f"{converted} as {column}")
        if existing[name] != kind or declared.get(spec.name) != spec.type:
            first.append(
                f"bring the acknowledged values of {spec.name} to the type {spec.type}; those that Braze holds in "
                "another form are then sent again, and may be more than this plan has"
            )
    return columns


def _note_open_cdi_run(store: SyncStore, first: list[str]) -> None:
    if not CDI_RUNS.exists(store.session):
        return
    query = f"select 1 from {CDI_RUNS.ref(store.sql)} where sync = $sync and settled_at is null limit 1"
    if store.session.fetch(query, {"sync": store.sync.name}):
        first.append("conclude the CDI run that was interrupted; what it may have changed is then sent again")


def _null(name: str, kind: str) -> str:
    return f"cast(null as {kind}) as {name}"
