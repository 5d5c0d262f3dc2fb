"""Settings: defaults, the environment, round trip, and messages that name variable and remedy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from braze_platform.settings import Settings, SettingsError, is_loopback


def test_the_defaults_are_those_of_one_machine() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert settings.target == "local"
    assert settings.outward_calls_allowed
    folders = [settings.duckdb_path, settings.bucket_dir, settings.company_exports_dir, settings.dagster_home]
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
        currents_event_types=("users.messages.fax.Send", "users.messages.fax.Open"),
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
        pytest.param("BRAZE_PLATFORM_CURRENTS_EVENT_TYPES", "fax Send", "as they stand in", id="event type"),
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
    [
        ("bigquery_project", "BRAZE_PLATFORM_BIGQUERY_PROJECT"),
        ("bucket_name", "BRAZE_PLATFORM_BUCKET"),
        ("braze_rest_url", "BRAZE_REST_URL"),
        ("bigquery_dataset_prefix", "BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX"),
    ],
)
def test_google_needs_names_of_its_own(missing: str, variable: str) -> None:
    settings = Settings(
        target="bigquery",
        bigquery_project="p",
        bucket_name="b",
        braze_rest_url="https://rest.iad-01.braze.com",
        bigquery_dataset_prefix="dev_",
    )
    settings.require_google()
    with pytest.raises(SettingsError, match=f"^{variable} is not set[^\n]*$"):
        settings.replace(**{missing: ""}).require_google()
    if missing == "bigquery_dataset_prefix":
        settings.replace(bigquery_dataset_prefix="", environment="production").require_google()


def test_nothing_on_bigquery_falls_to_a_sandbox() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({"BRAZE_PLATFORM_TARGET": "bigquery"}).require_google()
    assert len(str(raised.value).splitlines()) == 4, "all at once"
    assert not Settings(target="bigquery").outward_calls_allowed


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


KEY = "0123-secret-4567"


@pytest.mark.parametrize(
    ("variable", "value", "field", "read"),
    [
        (
            "BRAZE_REST_URL",
            " https://rest.fra-01.braze.eu/\n",
            "braze_rest_url",
            "https://rest.fra-01.braze.eu",
        ),
        (
            "BRAZE_REST_URL",
            "HTTPS://Rest.IAD-01.braze.com",
            "braze_rest_url",
            "https://rest.iad-01.braze.com",
        ),
        ("BRAZE_REST_URL", "http://[::1]:8899/", "braze_rest_url", "http://[::1]:8899"),
        ("BRAZE_REST_URL", " \n", "braze_rest_url", "http://127.0.0.1:8899"),
        ("BRAZE_API_KEY", f" {KEY}\r\n", "braze_api_key", KEY),
        ("BRAZE_PLATFORM_ENVIRONMENT", " Production\n", "environment", "production"),
        ("BRAZE_PLATFORM_ENVIRONMENT", "Staging", "environment", "staging"),
        ("BRAZE_PLATFORM_TARGET", "BigQuery", "target", "bigquery"),
        ("BRAZE_PLATFORM_HASH_CONTACTS", "True", "hash_contacts", True),
        ("BRAZE_PLATFORM_HASH_CONTACTS", "1", "hash_contacts", True),
        ("BRAZE_PLATFORM_HASH_CONTACTS", "on", "hash_contacts", True),
        ("BRAZE_PLATFORM_HASH_CONTACTS", "FALSE", "hash_contacts", False),
        ("BRAZE_PLATFORM_DELIVERIES", "Values", "deliveries_with_values", True),
        ("BRAZE_PLATFORM_DUCKDB_THREADS", " 4 ", "duckdb_threads", 4),
        ("BRAZE_PLATFORM_BUCKET", "gs://acme-currents/", "bucket_name", "acme-currents"),
        ("BRAZE_PLATFORM_CURRENTS_PREFIX", "/a/b/", "currents_prefix", "a/b"),
        ("BRAZE_PLATFORM_CURRENTS_PREFIX", "/", "currents_prefix", ""),
        ("BRAZE_PLATFORM_CURRENTS_START_DAY", " 2026-01-02 ", "currents_start_day", date(2026, 1, 2)),
    ],
)
def test_what_can_mean_one_thing_only_is_cleaned(variable: str, value: str, field: str, read: object) -> None:
    settings = Settings.from_environment({variable: value})
    assert getattr(settings, field) == read
    assert Settings.from_environment(settings.as_environment()) == settings


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("BRAZE_REST_URL", "rest.fra-01.braze.eu", "https://"),
        ("BRAZE_REST_URL", "127.0.0.1:8899", "https://"),
        ("BRAZE_REST_URL", "ftp://rest.fra-01.braze.eu", "https://"),
        ("BRAZE_REST_URL", "https://", "host"),
        ("BRAZE_REST_URL", "https://rest.braze.eu:port", "not a URL"),
        ("BRAZE_REST_URL", "https://[::1", "not a URL"),
        ("BRAZE_REST_URL", "https://rest.braze.eu/users/track", "without a path"),
        ("BRAZE_REST_URL", "https://rest.braze.eu?a=b", "without a path"),
        ("BRAZE_REST_URL", "https://rest.braze\n.eu", "line feed"),
        ("BRAZE_REST_URL", "https://dashboard-01.braze.com", "REST endpoint"),
        ("BRAZE_PLATFORM_ENVIRONMENT", "prod", "write production"),
        ("BRAZE_PLATFORM_ENVIRONMENT", "productoin", "write production"),
        ("BRAZE_PLATFORM_ENVIRONMENT", "Produktion", "write production"),
        ("BRAZE_PLATFORM_ENVIRONMENT", "production # live", "one word"),
        ("BRAZE_PLATFORM_TARGET", "big query", "local, bigquery"),
        ("BRAZE_PLATFORM_DUCKDB_THREADS", "0", "1 or more"),
        ("BRAZE_PLATFORM_DUCKDB_THREADS", "2.5", "whole number"),
        ("BRAZE_PLATFORM_DUCKDB_THREADS", "9" * 30, "too large"),
        ("BRAZE_PLATFORM_SENSOR_INTERVAL_SECONDS", "-10", "negative"),
        ("BRAZE_PLATFORM_SENSOR_INTERVAL_SECONDS", "10s", "digits"),
        ("BRAZE_PLATFORM_AUTOMATION_INTERVAL_SECONDS", "0", "1 or more"),
        ("BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT", "much", "1GB"),
        ("BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT", "80%", "1GB"),
        ("BRAZE_PLATFORM_BIGQUERY_PROJECT", "acme data", "plain name"),
        ("BRAZE_PLATFORM_BUCKET", "gs://acme/currents", "PREFIX"),
        ("BRAZE_PLATFORM_CURRENTS_PREFIX", "gs://acme/currents", "inside the bucket"),
        ("BRAZE_PLATFORM_CURRENTS_START_DAY", "2026-02-30", "day"),
        ("BRAZE_PLATFORM_DELIVERIES", "all", "hashes, values"),
        ("BRAZE_PLATFORM_BRAZE_CONTRACT", "enterprise", "data_points, mau, legacy"),
    ],
)
def test_what_cannot_be_meant_is_refused(variable: str, value: str, remedy: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}=") as raised:
        Settings.from_environment({variable: value})
    assert remedy in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BRAZE_API_KEY", f"{KEY[:6]}\n{KEY}"),
        ("BRAZE_API_KEY", f"Bearer {KEY}"),
        ("BRAZE_API_KEY", f'"{KEY}"'),
        ("BRAZE_API_KEY", f"{KEY} # production"),
        ("BRAZE_API_KEY", f"{KEY}\u200b"),
        ("BRAZE_REST_URL", f"https://user:{KEY}@rest.fra-01.braze.eu"),
        ("BRAZE_REST_URL", f"user:{KEY}@rest.fra-01.braze.eu"),
        ("BRAZE_REST_URL", f"https://{KEY}@rest.fra-01.braze.eu"),
        ("BIGQUERY_EMULATOR_HOST", f"http://user:{KEY}@127.0.0.1:9050"),
        ("STORAGE_EMULATOR_HOST", f"http://user:{KEY}@localhost:9023"),
    ],
)
def test_what_is_secret_is_refused_without_being_shown(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} ") as raised:
        Settings.from_environment({variable: value})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("variable", ["BRAZE_REST_URL", "BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"])
@pytest.mark.parametrize("behind", ["?api_key=", "/#", "/token/"])
def test_what_stands_behind_a_host_is_refused_without_being_shown(variable: str, behind: str) -> None:
    with pytest.raises(
        SettingsError, match=f"^{variable}='http://127.0.0.1:1...' .*without a path"
    ) as raised:
        Settings.from_environment({variable: f"http://127.0.0.1:1{behind}{KEY}"})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://rest.fra-01.braze.eu",
        "HTTP://rest.fra-01.braze.eu:443",
        "http://10.0.0.1",
        "http://[2001:db8::1]:8899",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
    ],
)
def test_production_sends_nothing_in_clear(url: str) -> None:
    environ = {"BRAZE_PLATFORM_ENVIRONMENT": "production", "BRAZE_REST_URL": url}
    with pytest.raises(SettingsError, match=r"^BRAZE_REST_URL=.*https://"):
        Settings.from_environment(environ)
    with pytest.raises(ValidationError, match="https://"):
        Settings(environment="production", braze_rest_url=url.lower())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_production_may_send_to_this_machine_in_clear(host: str) -> None:
    environ = {"BRAZE_PLATFORM_ENVIRONMENT": "production", "BRAZE_REST_URL": f"http://{host}:1"}
    assert Settings.from_environment(environ).braze_rest_url == f"http://{host}:1"


def test_all_mistakes_are_told_at_once_and_misspelt_names_are_mistakes() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(
            {
                "BRAZE_REST_URL": "rest.fra-01.braze.eu",
                "BRAZE_PLATFORM_DUCKDB_THREADS": "many",
                "BRAZE_PLATFORM_ENVIROMENT": "production",
                "BRAZE_PLATFORM_SOMETHING_OF_THE_COMPANY": "1",
            }
        )
    lines = str(raised.value).splitlines()
    assert [line.split()[0].partition("=")[0] for line in lines] == [
        "BRAZE_REST_URL",
        "BRAZE_PLATFORM_DUCKDB_THREADS",
        "BRAZE_PLATFORM_ENVIROMENT",
    ]
    assert "BRAZE_PLATFORM_ENVIRONMENT" in lines[-1]


def test_a_variable_of_an_earlier_release_is_refused_with_its_new_name() -> None:
    with pytest.raises(
        SettingsError, match=r"BRAZE_PLATFORM_BRAZE_PLAN .*mean BRAZE_PLATFORM_BRAZE_CONTRACT\?"
    ):
        Settings.from_environment({"BRAZE_PLATFORM_BRAZE_PLAN": "mau"})


def test_what_is_given_in_python_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAZE_PLATFORM_DUCKDB_THREADS", "7")
    settings = Settings()
    assert settings.duckdb_threads == 2
    assert Settings.from_environment().duckdb_threads == 7
    assert settings.replace(duckdb_threads=5) == Settings(duckdb_threads=5)
    with pytest.raises(ValueError, match="frozen"):
        settings.duckdb_threads = 3
    with pytest.raises(ValueError, match="duckdb_thread"):
        Settings(duckdb_thread=3)  # type: ignore[call-arg]


def test_monthly_active_users_need_the_contract_s_limit_beside_other_mistakes() -> None:
    environ = {"BRAZE_PLATFORM_BRAZE_CONTRACT": "mau", "BRAZE_PLATFORM_DUCKDB_THREADS": "many"}
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(environ)
    limit, threads = str(raised.value).splitlines()
    assert limit.startswith("BRAZE_PLATFORM_BRAZE_REQUESTS_PER_HOUR is not set") and "=mau" in limit
    assert threads.startswith("BRAZE_PLATFORM_DUCKDB_THREADS=many")
