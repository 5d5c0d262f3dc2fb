"""The room's definitions: every sync that the dbt manifest declares, as assets and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from braze_platform.attributes.assets import all_sync_assets
from braze_platform.attributes.declarations import DeclarationError, read_syncs
from braze_platform.attributes.sync import Sync
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import local_warehouse

_AVAILABLE_TRANSPORTS = frozenset({"track"})


def attributes_definitions(settings: Settings, manifest: Mapping[str, Any]) -> dg.Definitions:
    """Read the syncs of a dbt manifest; raises `DeclarationError` when one is declared wrongly.

    Loading opens neither the warehouse nor a connection.
    """
    return dg.Definitions(
        assets=all_sync_assets(available_syncs(manifest), settings, local_warehouse(settings))
    )


def available_syncs(manifest: Mapping[str, Any]) -> tuple[Sync, ...]:
    """The declared syncs, all of which this version can send."""
    syncs = read_syncs(manifest)
    missing = [
        f"{sync.file}, model {sync.name}: the transport {sync.transport!r} is not available yet; use `track`."
        for sync in syncs
        if sync.transport not in _AVAILABLE_TRANSPORTS
    ]
    if missing:
        raise DeclarationError(missing)
    return syncs
