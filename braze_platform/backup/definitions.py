"""Backups on the asset graph: on the local target, whose warehouse is one file on one disk."""

import dagster as dg

from braze_platform.settings import Settings


def backup_definitions(settings: Settings) -> dg.Definitions:
    """The asset `platform/backup` and its sensor; nothing on BigQuery, which has snapshots of its own."""
    if settings.target != "local":
        return dg.Definitions()
    from braze_platform.backup.assets import backup_asset
    from braze_platform.backup.sensor import daily_backup_sensor

    asset = backup_asset(settings)
    return dg.Definitions(assets=[asset], sensors=[daily_backup_sensor(settings, asset)])
