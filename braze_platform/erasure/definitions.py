"""The erasure's part of the asset graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from braze_platform.erasure.assets import tombstones_asset
from braze_platform.erasure.erase import PersonalColumns
from braze_platform.settings import Settings
from braze_platform.warehouse.dataset_names import logical_schema
from braze_platform.warehouse.resources import warehouse_resource


def erasure_definitions(
    settings: Settings,
    manifest: Mapping[str, Any],
    raw_keys: Sequence[dg.AssetKey],
    personal_fields: frozenset[str],
    condition: dg.AutomationCondition[Any],
) -> dg.Definitions:
    """The asset `privacy/tombstones`.

    `manifest` is dbt's, `raw_keys` are the assets of the raw tables, `personal_fields` the fields of Currents events
    that are personal data.
    """
    return dg.Definitions(
        assets=[tombstones_asset(settings, raw_keys, personal_columns(manifest, personal_fields), condition)],
        resources={"warehouse": warehouse_resource(settings)},
    )


def personal_columns(manifest: Mapping[str, Any], personal_fields: frozenset[str]) -> PersonalColumns:
    """What the catalogue and the models' YAML (`meta: {personal: true}`) say is personal."""
    models = {
        node["alias"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] in ("table", "incremental")
    }
    return PersonalColumns(
        fields=personal_fields,
        models={name: _said(node, personal=True) for name, node in models.items()},
        schemas={name: logical_schema(node) for name, node in models.items()},
        harmless={name: _said(node, personal=False) for name, node in models.items()},
    )


def _said(node: Mapping[str, Any], *, personal: bool) -> frozenset[str]:
    """The columns of which a model's YAML says that they are, or that they are not, personal."""
    return frozenset(
        column["name"]
        for column in node["columns"].values()
        if column["config"]["meta"].get("personal") is personal
    )
