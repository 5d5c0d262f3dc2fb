"""Google's services as resources of the definitions, and the clients that are made of them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster_gcp import BigQueryResource, GCSResource
from google_emulators import GoogleEmulators

from braze_platform.definitions import build_definitions
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.google_clients import (
    EmulatedBigQueryResource,
    bigquery_client,
    bigquery_resource,
    storage_client,
    storage_resource,
)


@pytest.mark.full
def test_an_asset_of_ones_own_works_with_the_platforms_services(
    emulators: GoogleEmulators, google_settings: Settings
) -> None:
    found: dict[str, object] = {}

    @dg.asset
    def own_asset(bigquery: BigQueryResource, gcs: GCSResource) -> None:
        with bigquery.get_client() as client:
            found["one"] = [tuple(row) for row in client.query("select 1 as one").result()]
        found["buckets"] = {bucket.name for bucket in gcs.get_client().list_buckets()}

    with dg.instance_for_test() as instance:
        platform = build_definitions(google_settings)
        result = dg.Definitions.merge(platform, dg.Definitions(assets=[own_asset])).resolve_job_def(
            "__ASSET_JOB"
        )
        assert result.execute_in_process(instance=instance, asset_selection=[own_asset.key]).success
    assert found["one"] == [(1,)]
    assert google_settings.bucket_name in found["buckets"]  # type: ignore[operator]


def test_without_emulators_the_resources_are_dagsters_own() -> None:
    settings = Settings(
        target="bigquery", bigquery_project="a-project", bucket_name="a-bucket", bigquery_dataset_prefix="t_"
    )
    assert type(bigquery_resource(settings)) is BigQueryResource
    assert bigquery_resource(settings).project == "a-project"
    assert bigquery_resource(settings).location == "EU"
    assert type(storage_resource(settings)) is GCSResource
    emulated = bigquery_resource(settings.replace(bigquery_emulator_url="http://127.0.0.1:1"))
    assert isinstance(emulated, EmulatedBigQueryResource)


@pytest.mark.parametrize("client", [bigquery_client, storage_client])
def test_a_client_needs_a_project_and_a_bucket(client: object, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="BRAZE_PLATFORM_BIGQUERY_PROJECT"):
        client(Settings(target="bigquery", state_dir=tmp_path))  # type: ignore[operator]
