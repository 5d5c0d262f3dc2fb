"""Settings: defaults, the environment, round trip, and messages that name variable and remedy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from braze_platform.settings import Settings, SettingsError, is_loopback


def test_the_defaults_are_those_of_one_machine() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert settings.target == "local"
    assert settings.outward_calls_allowed
    folders = [settings.duckdb_path, settings.bucket_dir, settings.service_exports_dir, settings.dagster_home]
    assert all(path.is_relative_to(settings.state_dir) for path in [*folders, settings.dbt_target_dir])


def test_the_environment_is_read_and_written(tmp_path: Path) -> None:
    settings = Settings(
        target="bigquery",
        environment="production",
        state_dir=tmp_path,
        dbt_project_dir=tmp_path / "dbt",
        currents_start_day=date(2025, 3, 4),
        currents_prefix="braze",
        braze_rest_url="https://rest.fra-01.braze.eu",
        braze_api_key="secret",
        duckdb_threads=3,
        duckdb_memory_limit="2GB",
        bigquery_project="acme-data",
        bigquery_location="europe-west3",
        bigquery_dataset_prefix="prod_",
        bucket_name="acme-currents",
        raw_partition_expiry_days=730,
        hash_contacts=True,
        personal_policy_tag="projects/acme-data/locations/eu/taxonomies/12/policyTags/34",
        labels=(("team", "data"), ("cost-centre", "42")),
        bigquery_emulator_url="http://127.0.0.1:9050",
        storage_emulator_url="http://127.0.0.1:9023",
    )
    assert Settings.from_environment(settings.as_environment()) == settings


def test_the_key_is_not_shown() -> None:
    assert "very-secret" not in repr(Settings(braze_api_key="very-secret"))


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        pytest.param("BRAZE_PLATFORM_TARGET", "snowflake", "local, bigquery", id="target"),
        pytest.param("BRAZE_PLATFORM_CURRENTS_START_DAY", "1.1.2026", "YYYY-MM-DD", id="day"),
        pytest.param("BRAZE_PLATFORM_DUCKDB_THREADS", "many", "int", id="number"),
        pytest.param("BRAZE_PLATFORM_HASH_CONTACTS", "maybe", "yes or no", id="hashes"),
        pytest.param("BRAZE_PLATFORM_PERSONAL_POLICY_TAG", "personal", "full name", id="policy tag"),
        pytest.param("BRAZE_PLATFORM_LABELS", "Team=data", "small letters", id="labels"),
        pytest.param("BRAZE_PLATFORM_LABELS", "team", "key=value", id="label without value"),
        pytest.param("BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX", "a-b", "letters", id="prefix"),
        pytest.param("BRAZE_PLATFORM_RAW_PARTITION_EXPIRY_DAYS", "-1", "keeps all", id="expiry"),
        pytest.param("BIGQUERY_EMULATOR_HOST", "http://10.0.0.1:9050", "Unset", id="emulator elsewhere"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(variable: str, value: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({variable: value})
    assert variable in str(raised.value)
    assert value in str(raised.value)
    assert remedy in str(raised.value)


@pytest.mark.parametrize(
    ("missing", "variable"),
    [("bigquery_project", "BRAZE_PLATFORM_BIGQUERY_PROJECT"), ("bucket_name", "BRAZE_PLATFORM_BUCKET")],
)
def test_google_needs_a_project_and_a_bucket(missing: str, variable: str) -> None:
    settings = Settings(target="bigquery", bigquery_project="p", bucket_name="b")
    settings.require_google()
    with pytest.raises(SettingsError, match=variable):
        settings.but(**{missing: ""}).require_google()


def test_an_empty_variable_counts_as_unset_and_urls_lose_their_slash() -> None:
    settings = Settings.from_environment(
        {"BRAZE_PLATFORM_CURRENTS_PREFIX": "", "BRAZE_REST_URL": "http://127.0.0.1:1/"}
    )
    assert settings.currents_prefix == "currents"
    assert settings.braze_rest_url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("url", "environment", "allowed"),
    [
        ("http://127.0.0.1:8899", "development", True),
        ("http://localhost:8899", "development", True),
        ("http://[::1]:8899", "development", True),
        ("https://rest.fra-01.braze.eu", "development", False),
        ("https://rest.fra-01.braze.eu", "production", True),
        ("https://127.0.0.1.example.com", "development", False),
        ("https://localhost@example.com", "development", False),
        ("", "development", False),
    ],
)
def test_outward_calls_need_production_or_loopback(url: str, environment: str, allowed: bool) -> None:
    assert Settings(braze_rest_url=url, environment=environment).outward_calls_allowed is allowed


def test_loopback_is_an_address_not_a_name_that_looks_like_one() -> None:
    assert is_loopback("http://127.8.8.8")
    assert not is_loopback("http://10.0.0.1")
    assert not is_loopback("localhost")


def test_the_sensor_s_look_back_and_reconciliation() -> None:
    assert Settings.from_environment({}).reconciliation_seconds == 0
    assert Settings(target="bigquery").reconciliation_seconds == 86_400
    read = Settings.from_environment(
        {
            "BRAZE_PLATFORM_CURRENTS_LOOK_BACK_DAYS": "7",
            "BRAZE_PLATFORM_CURRENTS_RECONCILIATION_HOURS": "6",
        }
    )
    assert (read.currents_look_back_days, read.reconciliation_seconds) == (7, 6 * 3600)
    assert Settings.from_environment(read.as_environment()) == read
    with pytest.raises(SettingsError, match="LOOK_BACK_DAYS=-1 is negative"):
        Settings.from_environment({"BRAZE_PLATFORM_CURRENTS_LOOK_BACK_DAYS": "-1"})
