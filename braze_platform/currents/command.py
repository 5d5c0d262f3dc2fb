"""`braze-platform currents`: reload days or hours, and verify what is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import click

from braze_platform.currents.bucket import Bucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.listing import event_type_folders
from braze_platform.currents.reload import ChunkResult, Reload, begin, days_of_hours, run_reload
from braze_platform.currents.targets import bucket_of, load_options
from braze_platform.currents.verify import Verification, verify
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.interface import Warehouse, WarehouseBusy, WarehouseError
from braze_platform.warehouse.targets import warehouse_of

_LISTED = 50
_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Reload days or hours of Currents, and verify what is loaded."""


def _choices(function: _Function) -> _Function:
    """The options by which event types and hours are chosen."""
    for option in (
        click.option(
            "--wait",
            default=60.0,
            show_default=True,
            help="Seconds to wait for a DuckDB file that another process holds.",
        ),
        click.option(
            "--hours",
            multiple=True,
            help="Single UTC hours instead of days, as in the keys: 2026-11-10-05. Repeated or with commas.",
        ),
        click.option("--to", "last", help="Last UTC day, included: YYYY-MM-DD. Default: the first day."),
        click.option("--from", "first", help="First UTC day: YYYY-MM-DD."),
        click.option(
            "--types",
            multiple=True,
            required=True,
            help="Event types, repeated or with commas; patterns as users.messages.email.* or '*'.",
        ),
    ):
        function = option(function)
    return function


@command.command("reload")
@_choices
@click.option("--restart", is_flag=True, help="Restart: forget an unfinished reload of the same choices.")
@click.option("--verify", "then_verify", is_flag=True, help="Verify the same choices afterwards.")
def reload_command(
    types: Sequence[str],
    first: str | None,
    last: str | None,
    hours: Sequence[str],
    wait: float,
    restart: bool,
    then_verify: bool,
) -> None:
    """Reload days or hours, also where the file registry says that nothing changed.

    Works in resumable chunks of 31 days per event type, each hour atomically. It can be stopped at any point: the
    same command resumes. The next run of the marts reprocesses the reloaded hours.
    """
    with _reported_errors():
        warehouse, bucket, prefix = _open(wait)
        wanted = _wanted(bucket, prefix, types, first, last, hours)
        since, resumes = begin(warehouse, wanted, restart=restart)
        chunks = len(list(wanted.chunks()))
        verb = "Resuming the reload" if resumes else "Reload"
        click.echo(
            f"{verb} of {len(wanted.event_types)} event types, {wanted.first_day}..{wanted.last_day}, "
            f"in {chunks} chunks, started {since:%Y-%m-%d %H:%M:%S} UTC."
        )
        try:
            options = load_options(Settings.from_environment())
            done = run_reload(warehouse, bucket, prefix, wanted, since, options=options, on_chunk=_tell)
        except KeyboardInterrupt:
            click.echo("Stopped. Loaded chunks stay loaded; the same command resumes.", err=True)
            raise
        rows, files = sum(chunk.rows for chunk in done), sum(chunk.files for chunk in done)
        click.echo(f"Loaded {rows:,} rows of {files:,} files.")
        failed = [chunk for chunk in done if chunk.error]
        if failed:
            raise click.ClickException(
                f"{len(failed)} of {chunks} chunks failed, see above. Remove the cause and run the same "
                "command again: it loads the rest."
            )
        if then_verify:
            _verify(warehouse, bucket, prefix, wanted, as_json=False)


@command.command("verify")
@_choices
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify_command(
    types: Sequence[str],
    first: str | None,
    last: str | None,
    hours: Sequence[str],
    wait: float,
    as_json: bool,
) -> None:
    """Compare the file registry with the bucket and with the raw tables; exit code 1 on any difference."""
    with _reported_errors():
        warehouse, bucket, prefix = _open(wait)
        _verify(
            warehouse, bucket, prefix, _wanted(bucket, prefix, types, first, last, hours), as_json=as_json
        )


def _verify(warehouse: Warehouse, bucket: Bucket, prefix: str, wanted: Reload, *, as_json: bool) -> None:
    result = verify(
        warehouse, bucket, prefix, wanted.event_types, wanted.first_day, wanted.last_day, wanted.hours
    )
    click.echo(json.dumps(result.as_dict(), indent=2) if as_json else _text(result))
    if result.differences:
        raise click.exceptions.Exit(1)


def _text(result: Verification) -> str:
    lines = [
        f"Compared {result.event_types} event types: {result.objects_in_bucket:,} objects in the bucket, "
        f"{result.objects_in_registry:,} in the file registry, {result.rows_in_tables:,} rows in the raw tables, "
        f"{result.objects_in_quarantine:,} objects in quarantine."
    ]
    lines += [str(difference) for difference in result.differences[:_LISTED]]
    if len(result.differences) > _LISTED:
        lines.append(f"... and {len(result.differences) - _LISTED:,} more; --json lists all.")
    if not result.differences:
        return "\n".join([*lines, "No difference."])
    counts: dict[str, int] = {}
    for difference in result.differences:
        counts[difference.kind] = counts.get(difference.kind, 0) + 1
    summary = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    return "\n".join(
        [
            *lines,
            f"{len(result.differences):,} differences: {summary}. `braze-platform currents reload` repairs them.",
        ]
    )


def _tell(chunk: ChunkResult) -> None:
    click.echo(str(chunk), err=chunk.error is not None)


def _open(wait: float) -> tuple[Warehouse, Bucket, str]:
    settings = Settings.from_environment()
    return warehouse_of(settings, patience_seconds=wait), bucket_of(settings), settings.currents_prefix


def _wanted(
    bucket: Bucket,
    prefix: str,
    types: Sequence[str],
    first: str | None,
    last: str | None,
    hours: Sequence[str],
) -> Reload:
    chosen_hours = tuple(sorted({_hour(text) for text in _split(hours)}))
    if chosen_hours and (first or last):
        raise click.UsageError("Give --hours or --from and --to, not both.")
    if not chosen_hours and not first:
        raise click.UsageError("Give --from (and --to), or --hours.")
    if chosen_hours:
        first_day, last_day = days_of_hours(chosen_hours)
    else:
        first_day = _day("--from", str(first))
        last_day = _day("--to", last) if last else first_day
    if last_day < first_day:
        raise click.UsageError(f"--to {last_day} lies before --from {first_day}.")
    return Reload(_event_types(bucket, prefix, _split(types)), first_day, last_day, chosen_hours or None)


def _split(texts: Sequence[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _event_types(bucket: Bucket, prefix: str, patterns: Sequence[str]) -> tuple[str, ...]:
    there = sorted(catalogue().keys() | event_type_folders(bucket, prefix).keys())
    chosen: set[str] = set()
    for pattern in patterns:
        matching = [name for name in there if fnmatchcase(name, pattern)]
        if not matching:
            near = get_close_matches(pattern, there, 3, 0.5)
            raise click.UsageError(
                f"No event type {pattern!r} in the catalogue or in the bucket."
                + (f" Did you mean {', '.join(near)}?" if near else "")
            )
        chosen.update(matching)
    return tuple(sorted(chosen))


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text!r} is an invalid day; write it as YYYY-MM-DD.") from error


def _hour(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d-%H")  # noqa: DTZ007 - the warehouse keeps UTC without a zone
    except ValueError as error:
        raise click.UsageError(
            f"--hours {text!r} is an invalid hour; write it as in the keys: 2026-11-10-05."
        ) from error


@contextmanager
def _reported_errors() -> Iterator[None]:
    try:
        yield
    except WarehouseBusy as busy:
        raise click.ClickException(
            f"{busy}\nA Dagster run holds the file for as long as it loads; `--wait 600` waits ten minutes for it. "
            "Loaded chunks stay loaded; the same command resumes."
        ) from busy
    except (SettingsError, WarehouseError) as error:
        raise click.ClickException(str(error)) from error
