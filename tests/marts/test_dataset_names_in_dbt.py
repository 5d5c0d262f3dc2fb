"""dbt builds into the data sets that Python reads, also behind prefixes with which names begin already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from dbt_runs import dbt
from google_emulators import GoogleEmulators

from braze_platform.cli import main
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings
from braze_platform.warehouse.dataset_names import (
    COMPANY_DATASETS,
    PLATFORM_DATASETS,
    dataset_names,
    logical_schema,
)
from braze_platform.warehouse.targets import warehouse_of


@pytest.mark.full
@pytest.mark.parametrize("prefix", ["", "s", "marts"])
def test_every_relation_of_the_project_has_its_rendered_name(prefix: str, tmp_path: Path) -> None:
    settings = Settings(target="bigquery", bigquery_dataset_prefix=prefix, state_dir=tmp_path)
    manifest = json.loads(prepare_manifest(settings).read_text(encoding="utf-8"))
    names = dataset_names(settings)
    known = {names.physical(logical) for logical in (*PLATFORM_DATASETS, *COMPANY_DATASETS)}
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert {node["schema"] for node in models} <= known
    assert all(node["schema"] == names.physical(logical_schema(node)) for node in models)
    assert {source["schema"] for source in manifest["sources"].values()} <= known


@pytest.fixture
def prefixed(emulators: GoogleEmulators, google_settings: Settings) -> Iterator[Settings]:
    settings = google_settings.replace(bigquery_dataset_prefix="s")
    yield settings
    client = emulators.bigquery()
    for name in (*PLATFORM_DATASETS, *COMPANY_DATASETS):
        client.delete_dataset(dataset_names(settings).physical(name), delete_contents=True, not_found_ok=True)


@pytest.mark.full
def test_python_dbt_and_doctor_mean_the_same_data_sets(
    emulators: GoogleEmulators, prefixed: Settings
) -> None:
    before = {dataset.dataset_id for dataset in emulators.bigquery().list_datasets()}
    with warehouse_of(prefixed).session() as session:
        session.create_schema("company", "The company's own")
        session.execute(
            f"create table {session.sql.table('company', 'users')} as select 'u' as user_id, 'x@example.org' as email, "
            "'GB' as country, timestamp '2026-01-01' as signed_up_at, true as marketing_consent"
        )
    dbt(prefixed, "--quiet", "run", "--select", "stg_company__users")
    with warehouse_of(prefixed).session() as session:
        found = session.fetch(f"select external_id from {session.sql.table('staging', 'stg_company__users')}")
        assert found == [("u",)]
        assert next(iter(session.columns("staging", "stg_company__users"))) == "external_id"
    made = {dataset.dataset_id for dataset in emulators.bigquery().list_datasets()} - before
    known = {dataset_names(prefixed).physical(name) for name in (*PLATFORM_DATASETS, *COMPANY_DATASETS)}
    assert {"scompany", "sstaging"} <= made <= known
    said = CliRunner().invoke(main, ["doctor"], env=prefixed.as_environment()).output
    for name in PLATFORM_DATASETS:
        physical = dataset_names(prefixed).physical(name)
        # The emulator makes dbt's data sets in its own location, which the doctor tells too.
        assert f"Dataset {physical}: it is " in said, said
        assert (f"Dataset {physical}: it is not there" in said) is (physical not in made), said
