"""Whether the platform's own tables are as this release reads them."""

from __future__ import annotations

from braze_platform.doctor.findings import Finding, missing, not_checked, ok
from braze_platform.settings import Settings
from braze_platform.sync.workspace import OtherWorkspace, bound_workspace, raise_if_other
from braze_platform.warehouse.interface import Session, WarehouseError
from braze_platform.warehouse.migrations import MigrationsPending, raise_if_pending

_WHAT = "Tables of the platform"
_LEDGERS = "Ledgers"


def check_tables(session: Session) -> Finding:
    """Whether migrations are pending."""
    try:
        raise_if_pending(session)
    except MigrationsPending as pending:
        return missing(_WHAT, str(pending))
    except WarehouseError as error:
        return not_checked(_WHAT, str(error))
    return ok(_WHAT, "they are as this release reads them.")


def check_ledgers(session: Session, settings: Settings) -> Finding:
    """Whether the ledgers belong to the Braze workspace that the settings name."""
    try:
        bound = bound_workspace(session)
        raise_if_other(session, settings)
    except OtherWorkspace as other:
        return missing(_LEDGERS, str(other))
    except WarehouseError as error:
        return not_checked(_LEDGERS, str(error))
    if bound is None:
        return ok(_LEDGERS, "nothing was sent yet, so that they belong to no workspace.")
    return ok(_LEDGERS, f"they belong to {bound.host}.")
