"""The dbt project as assets: one dbt process a run builds whatever was selected, and tests it."""

import shutil
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource, dbt_assets
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from packaging.version import Version
from sqlglot.errors import SqlglotError

from braze_platform.marts.column_lineage import model_column_lineage
from braze_platform.marts.dbt_environment import applied, dbt_environment, dbt_executable
from braze_platform.marts.translator import PlatformTranslator
from braze_platform.settings import Settings


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

    translator = PlatformTranslator(manifest)

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="dbt_models")
    def dbt_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Build and test the selected models."""
        dbt = PlatformDbt(
            project_dir=str(settings.dbt_project_dir),
            profiles_dir=str(settings.dbt_project_dir),
            target=settings.target,
            dbt_executable=str(dbt_executable()),
        )
        # Unit tests judge the SQL, not the data: they belong to the test suite.
        command = ["build", "--exclude-resource-type", "unit_test"]
        with applied(dbt_environment(settings)):
            invocation = dbt.cli(command, context=context)
        try:
            events = invocation.stream().fetch_row_counts().fetch_column_metadata(with_column_lineage=False)
            for event in events:
                if isinstance(event, dg.Output):
                    unique_id = str(event.metadata["unique_id"].value)
                    found = _column_lineage(context, translator, manifest, unique_id, invocation.target_path)
                    yield event.with_metadata({**event.metadata, **found})
                else:
                    yield event
        finally:
            _release_warehouse(invocation)
        _discard(invocation.target_path)

    return dbt_models


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


def _release_warehouse(invocation: DbtCliInvocation) -> None:
    """Close what dagster-dbt opened to read metadata: DuckDB's file would stay open to this process alone."""
    adapter = invocation.adapter
    if adapter is not None:
        adapter.cleanup_connections()
        if isinstance(adapter.connections, DuckDBConnectionManager):
            adapter.connections.close_all_connections()  # type: ignore[no-untyped-call]


def _discard(target_path: Path) -> None:
    """Remove the artifacts of a run that went well; those of a failed run stay, its error names them."""
    shutil.rmtree(target_path)
