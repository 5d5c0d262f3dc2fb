"""Objects under the prefix whose keys fit neither layout: found by a full listing, recorded in the quarantine."""

from __future__ import annotations

from braze_platform.currents import file_registry
from braze_platform.currents.bucket import Bucket
from braze_platform.currents.file_registry import BadFile
from braze_platform.currents.layout import parse_key
from braze_platform.currents.listing import root_of
from braze_platform.warehouse.interface import Warehouse
from braze_platform.warehouse.raw_tables import error_context
from braze_platform.warehouse.tables import now_utc

_REASON = "unrecognised key: in neither layout of Currents"


def record_unrecognised(warehouse: Warehouse, bucket: Bucket, prefix: str) -> list[BadFile]:
    """Put such objects into the quarantine, close those that are gone, and return all there are."""
    found = [
        BadFile(listed.key, None, None, listed.generation, listed.size_bytes, _REASON)
        for listed in bucket.objects(root_of(prefix))
        if parse_key(listed.key) is None
    ]
    now = now_utc()
    with warehouse.session() as session, error_context(session, "recording unrecognised objects"):
        file_registry.ensure_file_registry(session)
        known = {key for key, bad in file_registry.open_quarantine(session).items() if bad.event_type is None}
        with session.transaction():
            file_registry.resolve_quarantine(session, known - {bad.object_key for bad in found}, now)
            file_registry.touch_quarantine(session, known & {bad.object_key for bad in found}, now)
            file_registry.quarantine(session, found, now)
    return found
