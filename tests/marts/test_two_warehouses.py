"""Every model gives the same rows on DuckDB and on BigQuery, built as a whole and by the hours that came later."""

import pytest
from two_warehouses import BUILDS, TARGETS, TwoBuilds

pytestmark = pytest.mark.full


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("build", BUILDS)
def test_every_model_and_data_test_runs(two_builds: TwoBuilds, target: str, build: str) -> None:
    failures = two_builds.failures(target, build)
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("target", TARGETS)
def test_every_unit_test_passes(two_builds: TwoBuilds, target: str) -> None:
    found = two_builds.unit_tests(target)
    assert found.keys() == two_builds.manifest(target)["unit_tests"].keys()
    failures = [f"{name}: {said}" for name, said in found.items() if said != "pass"]
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("build", BUILDS)
def test_tables_are_equal_row_by_row(two_builds: TwoBuilds, build: str) -> None:
    differences, compared = [], 0
    for name in models(two_builds):
        local, google = (two_builds.table(target, build, name) for target in TARGETS)
        if local is None or google is None:
            differences.append(f"{name} was not built on {'DuckDB' if local is None else 'BigQuery'}")
            continue
        compared += len(local)
        if local != google:
            differences.append(
                f"{name}: only on DuckDB {sorted(set(local) - set(google))[:5]}, "
                f"only on BigQuery {sorted(set(google) - set(local))[:5]}, rows {len(local)} and {len(google)}"
            )
    assert not differences, "\n".join(differences)
    assert compared > 0


def test_what_came_later_is_in_the_tables(two_builds: TwoBuilds) -> None:
    whole, incremental = (two_builds.table("bigquery", build, "int_message_events") for build in BUILDS)
    assert whole is not None and incremental is not None
    assert set(whole) < set(incremental)


@pytest.mark.parametrize("target", TARGETS)
def test_an_incremental_build_gives_what_a_whole_build_gives(two_builds: TwoBuilds, target: str) -> None:
    assert not two_builds.failures("local", "at_once")
    differences = []
    snapshots = {
        node["name"]
        for node in two_builds.manifest("local")["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["meta"].get("rebuild", {}).get("snapshot")
    }
    assert snapshots
    for name in models(two_builds):
        expected, found = (
            two_builds.table("local", "at_once", name),
            two_builds.table(target, "incremental", name),
        )
        if name in snapshots and found and expected:
            # A snapshot of an earlier day cannot be recreated: a whole build has the latest one only.
            days = {row[2:12] for row in expected}
            found = [row for row in found if row[2:12] in days]
        if found is None or found != expected:
            differences.append(
                f"{name}: only built by hours {sorted(set(found or ()) - set(expected or ()))[:5]}, "
                f"only built at once {sorted(set(expected or ()) - set(found or ()))[:5]}"
            )
    assert not differences, "\n".join(differences)


def models(two_builds: TwoBuilds) -> list[str]:
    nodes = two_builds.manifest("local")["nodes"].values()
    return sorted(
        node["name"]
        for node in nodes
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    )
