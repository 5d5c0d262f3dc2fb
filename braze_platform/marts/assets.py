"""The dbt project as assets: one dbt process a run builds whatever was selected, and tests it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version
from sqlglot.errors import SqlglotError

from braze_platform.marts.builds import (
    LATE_HOURS,
    hours_changed_after,
    latest_hour,
    read_builds,
    record_builds,
)
from braze_platform.marts.column_lineage import model_column_lineage
from braze_platform.marts.dbt_artifacts import discard, sweep
from braze_platform.marts.dbt_environment import applied, dbt_environment, project_variables
from braze_platform.marts.dbt_process import dbt_command
from braze_platform.marts.expired_hours import without_expired_hours
from braze_platform.marts.late_hours import (
    hours_that_follow,
    hours_with_copies,
    note_late_hours,
    raw_tables_by_type,
)
from braze_platform.marts.previews import check_chart
from braze_platform.marts.rebuild_window import (
    Build,
    Model,
    RebuildWindow,
    code_versions,
    is_usable,
    models_of,
    rebuild_window,
)
from braze_platform.marts.table_metadata import tables_metadata
from braze_platform.marts.test_results import (
    TestResult,
    models_with_failed_tests,
    only_tests_failed,
    read_results,
    record_tests,
    rows_found,
    test_results,
)
from braze_platform.marts.translator import PlatformTranslator
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.load_numbers import latest_loads
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.resources import WarehouseResource


class PlatformDbt(DbtCliResource):
    """dbt of this Python environment, which knows its own version."""

    @cached_property
    def _cli_version(self) -> Version:
        # The base class starts `dbt --version` to learn it: five seconds of every run.
        return Version(version("dbt-core"))


def marts_assets(settings: Settings, manifest: dict[str, Any]) -> dg.AssetsDefinition:
    """All models of the manifest as one subsettable asset definition; dbt tests are its asset checks.

    Materialisations carry row counts, column types and column lineage down to the fields of raw tables.
    """

    variables = project_variables(settings)
    models = models_of(manifest, variables)
    translator = PlatformTranslator(manifest, code_versions(manifest, models))
    look_back = timedelta(days=int(variables["duplicates_look_back_days"]))
    marts = _Marts(
        models,
        raw_tables_by_type(manifest["sources"].values()),
        look_back,
        settings.raw_partition_expiry_days,
    )
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model":
            check_chart(node)

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="dbt_models")
    def dbt_models(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[Any]:
        """Build and test the selected models."""
        program, *flags = dbt_command()
        dbt = PlatformDbt(
            project_dir=str(settings.dbt_project_dir),
            profiles_dir=str(settings.dbt_project_dir),
            target=settings.target,
            dbt_executable=program,
            # Flags come right after the program: `python -m ...` is one.
            global_config_flags=flags,
        )
        # Unit tests judge the SQL, not the data: they belong to the test suite.
        command = ["build", "--exclude-resource-type", "unit_test"]
        sweep(settings.dbt_target_dir, context.op_execution_context.op.name)
        selected = {key.path[-1] for key in context.selected_asset_keys}
        window = _window(warehouse.warehouse(), marts, selected)
        context.log.info(_describe_rebuild(window, selected))
        with applied({**dbt_environment(settings), "BRAZE_PLATFORM_REBUILD_WINDOW": window.as_environment()}):
            invocation = dbt.cli(command, context=context)
        outputs: list[dg.Output[Any]] = []
        failed_checks: list[dg.AssetCheckResult] = []
        try:
            for event in invocation.stream():
                if isinstance(event, dg.Output):
                    outputs.append(event)
                elif isinstance(event, dg.AssetCheckResult) and not event.passed:
                    failed_checks.append(event)
                else:
                    yield event
        except DagsterDbtCliRuntimeError as error:
            # A test that failed is a failed check, and stops what is sent (see `test_results`); all models were built.
            if not only_tests_failed(read_results(invocation.target_path)):
                raise _failure(error, settings) from error
        finally:
            # Also of a run that failed: what was built is built.
            built = {str(one.metadata["unique_id"].value): one for one in outputs}
            names = {unique_id: str(manifest["nodes"][unique_id]["alias"]) for unique_id in built}
            results = test_results(read_results(invocation.target_path), manifest)
            with warehouse.warehouse().session() as session:
                record_builds(session, {name: window.builds[name] for name in names.values()})
                record_tests(session, results)
                found = tables_metadata(
                    session,
                    {unique_id: manifest["nodes"][unique_id] for unique_id in built},
                    window.latest_hour,
                )
                failed_checks = [
                    _with_rows(session, check, {one.unique_id: one for one in results}, manifest)
                    for check in failed_checks
                ]
            for unique_id, output in built.items():
                lineage = _column_lineage(context, translator, manifest, unique_id, invocation.target_path)
                hours = _hours_reprocessed(window, models[names[unique_id]])
                yield output.with_metadata({**output.metadata, **lineage, **found[unique_id], **hours})
            yield from failed_checks
        discard(invocation.target_path)

    return dbt_models


def _failure(error: Exception, settings: Settings) -> Exception:
    """What dbt's error is told as: the setting that mends it, where there is one."""
    if "Out of Memory Error" not in str(error):
        return error
    return dg.Failure(
        f"DuckDB had less memory than a model needs, with the {settings.duckdb_memory_limit} that it may use: "
        "set BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT to more and run this again. What was built stays built.\n\n"
        f"{error}"
    )


@dataclass(frozen=True)
class _Marts:
    """What a run over the models knows of the project before it looks at the data."""

    models: Mapping[str, Model]
    raw_tables: Mapping[str, str]
    look_back: timedelta
    raw_expiry_days: int


def _window(warehouse: Warehouse, marts: _Marts, selected: set[str]) -> RebuildWindow:
    models, look_back = marts.models, marts.look_back
    with warehouse.session() as session:
        migrate(session)
        built = read_builds(session)
        # Before all else: what a load commits in between belongs to the next run.
        loads = latest_loads(session)
        load_id = max(loads.values(), default=0)
        hour = latest_hour(session)
        noted = _note_late_hours(session, marts, built.get(LATE_HOURS), load_id)
        oldest = min(
            (
                build.load_id
                for name, build in built.items()
                if name in selected and name in models and is_usable(build, models[name], load_id)
            ),
            default=load_id,
        )
        changes = hours_changed_after(session, oldest) if load_id > oldest else []
        changes += hours_that_follow(session, changes, look_back)
        window = rebuild_window(
            models,
            selected,
            built,
            changes,
            loads=loads,
            latest_load_id=load_id,
            latest_hour=hour,
            look_back=look_back,
        )
        window = replace(
            window,
            ranges=without_expired_hours(
                session, models, window.ranges, marts.raw_tables, marts.raw_expiry_days
            ),
        )
        reads = {name: models[name].reads for name in window.ranges if models[name].reads}
        window = replace(
            window,
            copies=hours_with_copies(session, reads, window.ranges, look_back),
            tested_as_whole=models_with_failed_tests(session),
        )
        record_builds(session, {LATE_HOURS: noted})
    return window


def _note_late_hours(session: Session, marts: _Marts, last: Build | None, load_id: int) -> Build:
    """Note which hours hold late events, of all hours that were loaded since the last time; the state after it."""
    noted = Build(load_id, f"{marts.look_back.days} days")
    known = last is not None and last.code == noted.code and 0 < last.load_id <= load_id
    if not known:
        note_late_hours(session, marts.raw_tables, None, marts.look_back)
    elif last is not None and last.load_id < load_id:
        note_late_hours(
            session, marts.raw_tables, hours_changed_after(session, last.load_id), marts.look_back
        )
    return noted


def _with_rows(
    session: Session,
    check: dg.AssetCheckResult,
    results: Mapping[str, TestResult],
    manifest: Mapping[str, Any],
) -> dg.AssetCheckResult:
    """A failed check with the rows that its test found, where these are declared to hold nothing personal."""
    unique_id = str(check.metadata["unique_id"].value)
    result, node = results.get(unique_id), manifest["nodes"][unique_id]
    if result is None or not result.sql or not node["config"]["meta"].get("shows_rows"):
        return check
    rows = rows_found(session, result)
    return check._replace(description=rows, metadata={**check.metadata, "rows": dg.MetadataValue.md(rows)})


def _describe_rebuild(window: RebuildWindow, selected: set[str]) -> str:
    hours = [hour_range for ranges in window.ranges.values() for hour_range in ranges]
    if not hours:
        return f"Building {len(selected)} models as a whole."
    return (
        f"Building {len(selected)} models, {len(window.ranges)} of them only for hours that changed, between "
        f"{min(first for first, _ in hours):%Y-%m-%d %H:00} and {max(last for _, last in hours):%Y-%m-%d %H:00} UTC."
    )


def _hours_reprocessed(window: RebuildWindow, model: Model) -> dict[str, str]:
    """What an incremental model's materialisation says of the reprocessed hours."""
    if not model.is_incremental:
        return {}
    if model.name not in window.ranges:
        return {"hours": "all"}
    ranges = [f"{first:%Y-%m-%d %H:00} to {last:%Y-%m-%d %H:00}" for first, last in window.ranges[model.name]]
    return {"hours": ", ".join(ranges) or "none: nothing had changed"}


def _column_lineage(
    context: dg.AssetExecutionContext,
    translator: PlatformTranslator,
    manifest: dict[str, Any],
    unique_id: str,
    target_path: Path,
) -> dict[str, dg.TableColumnLineage]:
    try:
        found = model_column_lineage(manifest, unique_id, target_path / "compiled")
    except SqlglotError as error:
        # The table is right all the same; only the picture of its columns is missing.
        context.log.warning(f"No column lineage for {unique_id}: {error}")
        return {}
    deps = {
        column: [
            dg.TableColumnDep(translator.get_asset_spec(manifest, parent, None).key, name)
            for parent, name in sources
        ]
        for column, sources in found.items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}
