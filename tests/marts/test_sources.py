"""Only the platform's own tables are made when they are missing; a company's is an error that says what to do."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbt_runs import run_dbt

from braze_platform.definitions import own_tables
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.marts.sources import SourceError, check_own_sources
from braze_platform.settings import Settings, Target
from braze_platform.warehouse.targets import warehouse_of

SOURCES = """
version: 2
sources:
  - name: crm
    schema: company_crm
    tables:
      - {name: customers, columns: [{name: id, data_type: string}]}
      - {name: costumers, columns: [{name: id, data_type: string}]}
  - name: nowhere
    tables:
      - {name: things, columns: [{name: id, data_type: string}]}
"""
MODELS = {
    "right": "select id from {{ source('crm', 'customers') }}",
    "misspelt": "select id from {{ source('crm', 'costumers') }}",
    "no_data_set": "select id from {{ source('nowhere', 'things') }}",
    "own": "select person from {{ source('privacy', 'tombstones') }}",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "dbt_project"
    shutil.copytree(Settings().dbt_project_dir, folder)
    (folder / "models" / "sources" / "crm.yml").write_text(SOURCES, encoding="utf-8")
    for name, sql in MODELS.items():
        (folder / "models" / "attributes" / f"{name}.sql").write_text(sql, encoding="utf-8")
    return folder


@pytest.fixture(params=["local", "bigquery"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, project: Path) -> Iterator[Settings]:
    if request.param == "local":
        yield Settings(state_dir=tmp_path, dbt_project_dir=project)
        return
    google: Settings = request.getfixturevalue("google_settings").replace(dbt_project_dir=project)
    yield google
    request.getfixturevalue("emulators").bigquery().delete_dataset(
        "company_crm", delete_contents=True, not_found_ok=True
    )


def _tables(settings: Settings) -> dict[str, set[str]]:
    if settings.target == "bigquery":
        with warehouse_of(settings).session() as session:
            client = session.client  # type: ignore[attr-defined]
            return {
                dataset.dataset_id: {table.table_id for table in client.list_tables(dataset.dataset_id)}
                for dataset in client.list_datasets()
            }
    found: dict[str, set[str]] = {}
    with warehouse_of(settings).session() as session:
        for schema, table in session.fetch("select table_schema, table_name from information_schema.tables"):
            found.setdefault(schema, set()).add(table)
    return found


@pytest.mark.full
def test_a_missing_source_fails_its_model_alone_and_is_never_made(settings: Settings) -> None:
    with warehouse_of(settings).session() as session:
        # A company's data set has no prefix; it is named as it is.
        session.execute("create schema company_crm")
        session.execute("create table company_crm.customers as select 'c' as id")
    result = run_dbt(settings, "run", "--select", *MODELS)
    results = json.loads((settings.dbt_target_dir / "run_results.json").read_text(encoding="utf-8"))
    told = {
        one["unique_id"].rpartition(".")[2]: one
        for one in results["results"]
        if one["unique_id"].startswith("model.")
    }
    assert result.returncode == 1, result.stdout
    assert {name: one["status"] for name, one in told.items()} == {
        "right": "success",
        "own": "success",
        "misspelt": "error",
        "no_data_set": "error",
    }
    for part in ("crm.costumers", "company_crm", "models/sources/crm.yml", "Correct its name"):
        assert part in told["misspelt"]["message"]
    assert "nowhere.things" in told["no_data_set"]["message"]
    found = _tables(settings)
    assert found["company_crm"] == {"customers"}
    assert "nowhere" not in found
    own = [tables for schema, tables in found.items() if schema.endswith("privacy")]
    assert own == [{"tombstones"}]
    assert not any(schema.endswith("company") for schema in found)


@pytest.fixture(scope="module")
def manifest(parsed: Callable[[Target], Settings]) -> dict[str, Any]:
    path = prepare_manifest(parsed("local"))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_platform_s_own_sources_are_marked_and_no_other(manifest: dict[str, Any]) -> None:
    check_own_sources(manifest, own_tables())
    marked = {
        source["source_name"]
        for source in manifest["sources"].values()
        if source["config"]["meta"].get("created_when_missing")
    }
    assert marked == set(own_tables())
    assert "company" not in marked


@pytest.mark.parametrize(
    ("source", "table", "meant"),
    [
        ("currents", "users_messages_email_opne", "users_messages_email_open"),
        ("braze_workspace", "campaign", "campaigns"),
        ("braze_sync", "xyz", None),
        ("privacy", "tombstone", "tombstones"),
    ],
)
def test_a_misspelt_table_among_the_platform_s_own_stops_loading(
    manifest: dict[str, Any], source: str, table: str, meant: str | None
) -> None:
    wrong = copy.deepcopy(manifest)
    one = next(found for found in wrong["sources"].values() if found["source_name"] == source)
    one["name"] = one["identifier"] = table
    with pytest.raises(SourceError) as raised:
        check_own_sources(wrong, own_tables())
    assert f"{source}.{table}" in str(raised.value) and one["original_file_path"] in str(raised.value)
    assert ("did you mean" in str(raised.value)) is (meant is not None)
    assert meant is None or meant in str(raised.value)
    one["config"]["meta"]["created_when_missing"] = False
    check_own_sources(wrong, own_tables())


def test_a_source_of_the_platform_s_name_with_a_mark_is_none(manifest: dict[str, Any]) -> None:
    wrong = copy.deepcopy(manifest)
    one = next(found for found in wrong["sources"].values() if found["source_name"] == "company")
    one["config"]["meta"]["created_when_missing"] = True
    with pytest.raises(SourceError, match=r"company\."):
        check_own_sources(wrong, own_tables())
