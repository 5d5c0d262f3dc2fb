"""The marts' part of the asset graph."""

import json
from pathlib import Path

import dagster as dg

from braze_platform.marts.assets import marts_assets
from braze_platform.settings import Settings
from braze_platform.warehouse.resources import warehouse_resource


def marts_definitions(settings: Settings, manifest_path: Path) -> dg.Definitions:
    """The models of the manifest at `manifest_path` (see `manifest.prepare_manifest`) as assets with checks."""
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    return dg.Definitions(
        assets=[marts_assets(settings, manifest)], resources={"warehouse": warehouse_resource(settings)}
    )
