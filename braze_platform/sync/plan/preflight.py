"""Before anything is planned: who must never be sent, and which attributes the workspace would not take as declared.

Both are read from the warehouse, where other rooms put them: deleted users from the identity models, the workspace's
custom attributes from `braze_workspace`. What was never read holds nothing back.
"""

from __future__ import annotations

from collections.abc import Sequence

from braze_platform.sync.declaration.sync import PROFILE_FIELDS, AttributeSpec
from braze_platform.sync.ledger.store import SyncStore

#: For each identifier, the model that knows its deleted users, and its column.
_IDENTITY = {
    "external_id": ("int_external_identity", "external_id"),
    "braze_id": ("int_user_identity", "braze_user_id"),
}
#: Braze's names of types (https://www.braze.com/docs/api/endpoints/export/custom_attributes/get_custom_attributes),
#: by declared type. A time is written as ISO 8601 text, which Braze detects as a date.
_FITTING = {
    "string": {"string"},
    "integer": {"number", "integer", "float"},
    "number": {"number", "integer", "float"},
    "boolean": {"boolean"},
    "date": {"date", "time", "string"},
    "timestamp": {"date", "time", "string"},
    "array": {"array"},
    "object": {"object", "nested"},
    "array_of_objects": {"object array", "array of objects", "array", "nested"},
}


def deleted_users(store: SyncStore) -> str | None:
    """A relation with the `_user` of everybody whose profile was deleted in Braze; None when it is unknown.

    By external id and Braze id only: Currents names deleted users by nothing else.
    """
    if store.sync.identifier.kind not in _IDENTITY:
        return None
    model, column = _IDENTITY[store.sync.identifier.kind]
    schema = "intermediate"
    if not store.session.columns(schema, model):
        return None
    return f"(select {column} as _user from {store.sql.table(schema, model)} where is_deleted)"


def merged_users(store: SyncStore) -> str | None:
    """A relation with the external ids of profiles that were merged into another; None when it is unknown."""
    schema = "intermediate"
    if store.sync.identifier.kind != "external_id" or not store.session.columns(
        schema, "int_external_identity"
    ):
        return None
    return (
        f"(select external_id from {store.sql.table(schema, 'int_external_identity')} "
        "where is_seen_in_currents and surviving_external_id is distinct from external_id "
        "and external_id is not null)"
    )


def forget_merged_users(store: SyncStore) -> int:
    """Remove users from the ledger whose profile was merged into another: Braze has no such profile any more.

    What the survivor holds is not what was sent to them, and a profile that is recreated under the id holds nothing.
    Returns how many went.
    """
    merged = merged_users(store)
    if merged is None:
        return 0
    ledger = store.ledger
    [(gone,)] = store.session.fetch(f"select count(*) from {ledger} where _user in {merged}")
    if gone:
        store.session.execute(f"delete from {ledger} where _user in {merged}")
    return int(gone)


def unfitting_attributes(store: SyncStore, specs: Sequence[AttributeSpec]) -> dict[str, str]:
    """Why attributes are not to be sent: the workspace blocks them, or keeps them as another type."""
    schema = "braze_workspace"
    if not store.session.columns(schema, "custom_attributes"):
        return {}
    known = {
        str(name): (str(kind or ""), str(status or ""))
        for name, kind, status in store.session.fetch(
            f"select attribute_name, data_type, status from {store.sql.table(schema, 'custom_attributes')} "
            "where valid_to is null"
        )
    }
    reasons = {}
    for spec in specs:
        if spec.name in PROFILE_FIELDS or spec.name not in known:
            continue
        kind, status = known[spec.name]
        if status.lower() == "blocklisted":
            reasons[spec.name] = (
                f"{spec.name} is on the workspace's blocklist, so Braze would drop it; take it off the list in Braze "
                f"under Data Settings > Custom Attributes, or remove it from {store.sync.file}"
            )
        elif _kind(kind) and _kind(kind) not in _FITTING.get(spec.type, {_kind(kind)}):
            reasons[spec.name] = (
                f"{spec.name} is a {kind} in the workspace and {spec.type} in {store.sync.file}: sending it would "
                "change its type there and break filters on it; declare the type that it has, or change it in Braze "
                "first"
            )
    return reasons


def fitting_attributes(
    store: SyncStore, specs: Sequence[AttributeSpec]
) -> tuple[tuple[AttributeSpec, ...], dict[str, str]]:
    """The attributes that may be sent, and why the others may not."""
    stopped = unfitting_attributes(store, specs)
    return tuple(spec for spec in specs if spec.name not in stopped), stopped


def _kind(text: str) -> str:
    """Braze's word without what it adds, e.g. `String (Automatically Detected)`."""
    return text.partition("(")[0].strip().lower()
