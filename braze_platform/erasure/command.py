"""`braze-platform erasure`: look at whom the next run would erase, and let it, where they are more than the limit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click

from braze_platform.erasure.approval import ApprovalRefused, ErasurePlan, approve_erasure, plan_erasure
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.interface import Session, WarehouseError
from braze_platform.warehouse.targets import warehouse_of

#: Seconds to wait for the warehouse's file.
_PATIENCE = 30.0


@click.group()
def command() -> None:
    """Erasure of people who were deleted in Braze; a run of privacy/tombstones does it."""


@command.command("plan")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def plan_command(as_json: bool) -> None:
    """Show what the next run would erase, in numbers; writes nothing."""
    with _session() as (session, limit):
        plan = plan_erasure(session, limit)
    click.echo(json.dumps(plan.as_dict()) if as_json else _said(plan, limit))


@command.command("approve")
@click.option("--people", type=int, required=True, help="How many `erasure plan` showed.")
def approve(people: int) -> None:
    """Let the next run erase everybody whom `erasure plan` showed, though they are more than the limit."""
    with _session() as (session, _):
        approve_erasure(session, people)
    click.echo(
        f"The erasure of {people:,} people is approved. Materialise privacy/tombstones, or wait for the next load."
    )


@contextmanager
def _session() -> Iterator[tuple[Session, int]]:
    try:
        settings = Settings.from_environment()
        with warehouse_of(settings, patience_seconds=_PATIENCE).session() as session:
            yield session, settings.max_erased_people
    except (SettingsError, WarehouseError, ApprovalRefused) as error:
        raise click.ClickException(str(error)) from error


def _said(plan: ErasurePlan, limit: int) -> str:
    if not plan.people:
        return "Nobody is to be erased."
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in plan.identities.items())
    lines = [f"{plan.people:,} people would be erased, known by {kinds}.", ""]
    lines += [f"  {rows:>12,} rows  {table}" for table, rows in sorted(plan.rows.items())]
    if plan.waiting:
        lines += [
            "",
            f"{plan.waiting:,} of them wait for an approval, being more than {limit:,} at once "
            f"(BRAZE_PLATFORM_MAX_ERASED_PEOPLE). If they were deleted on purpose:",
            f"  braze-platform erasure approve --people {plan.people}",
        ]
    return "\n".join(lines)
