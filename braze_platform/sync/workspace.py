"""Whose ledger it is: ledgers, deliveries and look-ups are of one Braze workspace, and serve no other.

Of Braze's endpoints the list of Cloud Data Ingestion's integrations alone names the workspace, where there is one and
the key may see it (https://www.braze.com/docs/api/endpoints/cdi). So a workspace is known by the host of its REST
endpoint and by the key; a key that was exchanged is confirmed by a person, once. All sandboxes of this machine count as
one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from braze_platform.setting_values import is_loopback
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.ledger.store import LedgerError
from braze_platform.sync.retries import key_fingerprint
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import hold_lease
from braze_platform.warehouse.registry import BOUND_WORKSPACE, EXISTENCE, LEDGER, OPERATIONS
from braze_platform.warehouse.tables import ensure, now_utc

_SANDBOX = "a sandbox of this machine"
#: Characters of a key's fingerprint that are kept: enough to tell two keys apart.
_MARK = 16


class OtherWorkspace(LedgerError):
    """What the ledgers hold is of another workspace than the one that would be written to."""


@dataclass(frozen=True)
class Workspace:
    """A workspace as far as it can be told."""

    host: str
    #: Of its key; blank for a sandbox, whose keys are anything.
    key_mark: str

    @classmethod
    def of(cls, settings: Settings) -> Workspace:
        """The one that the settings name."""
        if is_loopback(settings.braze_rest_url):
            return cls(_SANDBOX, "")
        host = urlsplit(settings.braze_rest_url).hostname or settings.braze_rest_url
        return cls(host, key_fingerprint(settings.braze_api_key)[:_MARK])


def for_workspace(syncs: Iterable[Sync], settings: Settings) -> list[Sync]:
    """The syncs as they are declared, but that a sandbox of this machine takes first plans of any size.

    There is nobody in it who could get something that he should not.
    """
    if not is_loopback(settings.braze_rest_url):
        return list(syncs)
    return [
        sync
        if sync.limits.max_first_users is not None
        else replace(sync, limits=replace(sync.limits, max_first_users=sys.maxsize))
        for sync in syncs
    ]


def bound_workspace(session: Session) -> Workspace | None:
    """The workspace that the ledgers belong to; None before anything was sent. Reads only."""
    if not BOUND_WORKSPACE.exists(session):
        return None
    rows = session.fetch(
        f"select host, key_mark from {BOUND_WORKSPACE.ref(session.sql)} order by bound_at limit 1"
    )
    return Workspace(*rows[0]) if rows else None


def raise_if_other(session: Session, settings: Settings) -> None:
    """Raise `OtherWorkspace` where the ledgers belong to another workspace than the settings name. Reads only."""
    bound, asked = bound_workspace(session), Workspace.of(settings)
    if bound is None or bound == asked:
        return
    if bound.host != asked.host:
        differs = (
            f"the ledgers of this warehouse hold what {bound.host} has, and BRAZE_REST_URL is {asked.host}"
        )
    else:
        differs = (
            f"the ledgers of this warehouse were written with another key of {bound.host} than BRAZE_API_KEY"
        )
    raise OtherWorkspace(
        f"Nothing is sent: {differs}. If it is the same workspace: `braze-platform workspace confirm`. If it is "
        "another: `braze-platform workspace replace` empties the ledgers, and `braze-platform ledger rebuild` reads "
        "what the new one holds already."
    )


def bind(session: Session, settings: Settings) -> None:
    """Let the ledgers belong to the workspace that the settings name, where they belong to none; see `raise_if_other`.

    Ledgers of an earlier release belong to the workspace that is asked for first.
    """
    raise_if_other(session, settings)
    if bound_workspace(session) is None:
        confirm(session, settings)


def confirm(session: Session, settings: Settings) -> None:
    """Let the ledgers belong to the workspace that the settings name, whatever they belonged to."""
    ensure(session, BOUND_WORKSPACE)
    asked = Workspace.of(settings)
    with session.transaction():
        session.execute(f"delete from {BOUND_WORKSPACE.ref(session.sql)} where true")
        BOUND_WORKSPACE.append(session, [(asked.host, asked.key_mark, now_utc())])


def replace_workspace(session: Session, settings: Settings, *, wait_seconds: float) -> list[str]:
    """Empty the ledgers, what operators left unclear and what was learned of who exists, for a workspace that has none
    of it; returns the syncs.

    Each sync under its lease, which is waited for up to `wait_seconds` (`LeaseHeld` after that). What was delivered and
    rejected before stays on record. The workspace is bound last: killed before, the same command goes on.
    """
    syncs = LEDGER.found_syncs(session)
    for sync in syncs:
        with (
            hold_lease(session, sync, "workspace replace", wait_seconds=wait_seconds) as leased,
            leased.transaction(),
        ):
            leased.execute(f"delete from {LEDGER.of(sync).ref(leased.sql)} where true")
            for table in (EXISTENCE, OPERATIONS):
                if table.exists(leased):
                    leased.execute(f"delete from {table.ref(leased.sql)} where sync = $sync", {"sync": sync})
    confirm(session, settings)
    return syncs
