"""The web shop's own system: exports its users and orders as Parquet files, whole tables each time."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from braze_platform.sandbox.store.profiles import Store

_USERS = pa.schema(
    [
        ("user_id", pa.string()),
        ("email", pa.string()),
        ("country", pa.string()),
        ("signed_up_at", pa.timestamp("us")),
        ("marketing_consent", pa.bool_()),
    ]
)
_ORDERS = pa.schema(
    [
        ("order_id", pa.string()),
        ("user_id", pa.string()),
        ("ordered_at", pa.timestamp("us")),
        ("category", pa.string()),
        ("currency", pa.string()),
        ("amount", pa.float64()),
        ("status", pa.string()),
    ]
)


def export_shop(store: Store, simulated_until: datetime, folder: Path) -> None:
    """Write `users.parquet` and `orders.parquet` (timestamps naive, in UTC), each replaced in one step.

    Users are the simulated people still there, without profiles that only an API call made; orders end with the
    simulated time. Erased users are gone from both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    users: list[dict[str, Any]] = []
    for user_id, standard in store.users():
        signed_up = standard.get("signed_up_at")
        if signed_up is None or signed_up >= simulated_until.timestamp():
            continue
        users.append(
            {
                "user_id": user_id,
                "email": standard.get("email"),
                "country": standard.get("country"),
                "signed_up_at": _naive(signed_up),
                "marketing_consent": standard.get("email_subscribe") != "unsubscribed",
            }
        )
    orders = store.orders()
    columns = list(zip(*orders, strict=True)) if orders else [() for _ in _ORDERS.names]
    table = {name: list(column) for name, column in zip(_ORDERS.names, columns, strict=True)}
    table["ordered_at"] = [_naive(second) for second in table["ordered_at"]]
    _write(pa.Table.from_pylist(users, schema=_USERS), folder / "users.parquet")
    _write(pa.Table.from_pydict(table, schema=_ORDERS), folder / "orders.parquet")


def _naive(second: int) -> datetime:
    return datetime.fromtimestamp(second, timezone.utc).replace(tzinfo=None)


def _write(table: pa.Table, path: Path) -> None:
    staged = path.with_suffix(".parquet.part")
    pq.write_table(table, staged)
    staged.replace(path)
