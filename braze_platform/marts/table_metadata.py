"""What a built model's materialisation says of its table: rows, columns, and for marts a sample and a chart.

dagster-dbt can count rows and read columns, too, but its main thread spins for as long as dbt runs: a processor core of
every run. Here the warehouse is asked once dbt has ended and has given its file back.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeAlias

import dagster as dg

from braze_platform.marts.previews import preview
from braze_platform.warehouse.dataset_names import logical_schema
from braze_platform.warehouse.interface import Session

Metadata: TypeAlias = "dict[str, dg.TableSchema | dg.MetadataValue[Any] | int]"

#: Tables that BigQuery is asked about side by side; DuckDB answers in milliseconds, one at a time.
_AT_ONCE = 8


def tables_metadata(
    session: Session,
    nodes: Mapping[str, Mapping[str, Any]],
    latest_hour: datetime | None,
) -> dict[str, Metadata]:
    """The metadata of some models of the manifest, by unique id. `latest_hour` is that of events (naive UTC)."""

    def one(node: Mapping[str, Any]) -> Metadata:
        return table_metadata(session, node, latest_hour)

    if session.dialect == "duckdb":
        return {unique_id: one(node) for unique_id, node in nodes.items()}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(nodes, pool.map(one, nodes.values()), strict=True))


def table_metadata(session: Session, node: Mapping[str, Any], latest_hour: datetime | None) -> Metadata:
    """The metadata of one model: views are not counted, since that would run them."""
    schema = logical_schema(node)
    described = node["columns"]
    found: Metadata = {
        "dagster/column_schema": dg.TableSchema(
            [
                dg.TableColumn(
                    name, kind.lower(), description=described.get(name, {}).get("description") or None
                )
                for name, kind in session.columns(schema, node["alias"]).items()
            ]
        )
    }
    if node["config"]["materialized"] != "view":
        [(rows,)] = session.fetch(f"select count(*) from {node['relation_name']}")
        found["dagster/row_count"] = int(rows)
    if node["fqn"][1] == "marts":
        metadata = preview(node, session.fetch, latest_hour)
        found |= {name: dg.MetadataValue.md(text) for name, text in metadata.items()}
    return found
