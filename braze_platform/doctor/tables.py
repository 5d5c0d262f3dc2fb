"""Whether the platform's own tables are as this release reads them."""

from __future__ import annotations

from braze_platform.doctor.findings import Finding, missing, not_checked, ok
from braze_platform.warehouse.interface import Session, WarehouseError
from braze_platform.warehouse.migrations import MigrationsPending, raise_if_pending

_WHAT = "Tables of the platform"


def check_tables(session: Session) -> Finding:
    """Whether migrations are pending."""
    try:
        raise_if_pending(session)
    except MigrationsPending as pending:
        return missing(_WHAT, str(pending))
    except WarehouseError as error:
        return not_checked(_WHAT, str(error))
    return ok(_WHAT, "they are as this release reads them.")
