"""The syncs as dbt exposures: what leaves the warehouse, rendered from the declarations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def exposures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a dbt YAML file with an exposure for each model that declares a sync, by name.

    https://docs.getdbt.com/reference/exposure-properties
    """
    return {"version": 2, "exposures": [_exposure(node) for node in _syncs(manifest)]}


def _syncs(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    declared = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["meta"].get("braze_sync")
    ]
    return sorted(declared, key=lambda node: str(node["alias"]))


def _exposure(node: Mapping[str, Any]) -> dict[str, Any]:
    attributes = [
        column["name"]
        for column in node["columns"].values()
        if "braze_attribute" in column["config"].get("meta", {})
    ]
    version = f", v={node['version']}" if node.get("version") else ""
    return {
        "name": f"sync_{node['alias']}",
        "label": f"{node['alias']} in Braze",
        "type": "application",
        "maturity": "high",
        "description": f"Sends {', '.join(attributes)} of each user to Braze as user attributes.",
        "depends_on": [f"ref('{node['name']}'{version})"],
        "owner": {"name": "CRM analytics"},
    }
