"""The bucket, the datasets and the rights on the `bigquery` target. Nothing is made, and one header is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery

from braze_platform.currents.google_bucket import GoogleBucket
from braze_platform.currents.listing import root_of
from braze_platform.doctor.findings import Finding, missing, not_checked, ok
from braze_platform.doctor.tables import check_ledgers, check_tables
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.dataset_names import PLATFORM_DATASETS, dataset_names
from braze_platform.warehouse.google_clients import bigquery_client, storage_client
from braze_platform.warehouse.sql import BigQuerySql
from braze_platform.warehouse.targets import warehouse_of

_TIMEOUT = 30.0


def check_google(settings: Settings) -> Iterator[Finding]:
    """All checks of Google's side, each a finding; what cannot work without another is left out after it."""
    try:
        settings.require_google()
        client = bigquery_client(settings)
        bucket = GoogleBucket(lambda: storage_client(settings), settings.bucket_name)
    except SettingsError as error:
        yield missing("Settings", str(error))
        return
    except DefaultCredentialsError:
        yield missing(
            "Credentials",
            "there are no application default credentials. Run 'gcloud auth application-default login', or attach a "
            "service account to this machine.",
        )
        return
    yield ok("Settings", f"project {settings.bigquery_project}, location {settings.bigquery_location}.")
    yield check_bucket(bucket, settings)
    jobs = check_jobs(client)
    yield jobs
    for name in PLATFORM_DATASETS:
        yield check_dataset(client, settings, name, may_ask=jobs.state == "ok")
    if jobs.state == "ok":
        with warehouse_of(settings).session() as session:
            yield check_tables(session)
            yield check_ledgers(session, settings)
    yield check_company_tables(client, settings, may_ask=jobs.state == "ok")


def check_bucket(bucket: GoogleBucket, settings: Settings) -> Finding:
    """Whether objects can be listed, and one of them read."""
    what = f"Bucket gs://{bucket.name}"
    prefix = root_of(settings.currents_prefix)
    grant = f"Grant roles/storage.objectViewer on gs://{bucket.name} to this account"
    try:
        first = next(islice(bucket.objects(prefix), 1), None)
    except exceptions.NotFound:
        return missing(
            what, "there is no such bucket. Set BRAZE_PLATFORM_BUCKET to the one Currents writes into."
        )
    except (exceptions.Forbidden, exceptions.Unauthorized):
        return missing(what, f"its objects may not be listed. {grant} (storage.objects.list).")
    except exceptions.GoogleAPICallError as error:
        return missing(what, f"listing it fails: {type(error).__name__}.")
    if first is None:
        return ok(
            what,
            f"it can be listed. There is nothing under {prefix!r} yet: BRAZE_PLATFORM_CURRENTS_PREFIX must be the "
            "folder that the Currents integration in Braze names.",
        )
    try:
        with bucket.open(first.key, first.generation) as stream:
            stream.read(4)
    except (exceptions.Forbidden, exceptions.Unauthorized):
        return missing(what, f"its objects may be listed but not read. {grant} (storage.objects.get).")
    except (FileNotFoundError, exceptions.GoogleAPICallError) as error:
        return missing(what, f"reading {first.key} fails: {type(error).__name__}.")
    return ok(what, "its objects can be listed and read.")


def check_jobs(client: bigquery.Client) -> Finding:
    """Whether jobs may run in the project, by a dry run."""
    what = f"Jobs in project {client.project}"
    try:
        _dry_run(client, "select 1")
    except (exceptions.Forbidden, exceptions.Unauthorized):
        return missing(
            what,
            f"they may not be run. Grant roles/bigquery.jobUser on the project {client.project} "
            "(bigquery.jobs.create).",
        )
    except exceptions.GoogleAPICallError as error:
        return missing(
            what, f"a dry run fails: {type(error).__name__}. Is BRAZE_PLATFORM_BIGQUERY_PROJECT right?"
        )
    return ok(what, "they may be run.")


def check_dataset(client: bigquery.Client, settings: Settings, name: str, *, may_ask: bool) -> Finding:
    """Whether a dataset is there, where it should be, and tables may be made in it."""
    sql = BigQuerySql(dataset_names(settings))
    dataset = sql.dataset(name)
    what = f"Dataset {dataset}"
    if not may_ask:
        return not_checked(what, "this needs the right to run jobs.")
    try:
        found = client.get_dataset(dataset, timeout=_TIMEOUT)
    except exceptions.NotFound:
        return _check_making(client, settings, dataset, what)
    except (exceptions.Forbidden, exceptions.Unauthorized):
        return missing(what, f"it may not be looked at. Grant roles/bigquery.dataEditor on {dataset}.")
    if found.location.lower() != settings.bigquery_location.lower():
        return missing(
            what,
            f"it is in {found.location}. Set BRAZE_PLATFORM_BIGQUERY_LOCATION={found.location}, or another "
            "BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX.",
        )
    try:
        _dry_run(client, f"create table {sql.table(name, 'doctor_asks')} (x int64)")
    except (exceptions.Forbidden, exceptions.Unauthorized):
        return missing(
            what, f"tables may not be made in it. Grant roles/bigquery.dataEditor on the dataset {dataset}."
        )
    except exceptions.GoogleAPICallError as error:
        return missing(what, f"a dry run fails: {type(error).__name__}.")
    return ok(what, f"it is there, in {found.location}, and tables may be made in it.")


def check_company_tables(client: bigquery.Client, settings: Settings, *, may_ask: bool) -> Finding:
    """Whether the company's own tables, which dbt reads, are there and may be read."""
    sql = BigQuerySql(dataset_names(settings))
    dataset = sql.dataset("company")
    what = f"Dataset {dataset}"
    if not may_ask:
        return not_checked(what, "this needs the right to run jobs.")
    for table in ("users", "orders"):
        try:
            _dry_run(client, f"select * from {sql.table('company', table)}")
        except exceptions.NotFound:
            return missing(
                what,
                f"there is no table {table} in it. Make it a table or a view of your customers' data with the columns "
                "of dbt_project/models/sources/company.yml.",
            )
        except (exceptions.Forbidden, exceptions.Unauthorized):
            return missing(
                what, f"its table {table} may not be read. Grant roles/bigquery.dataViewer on {dataset}."
            )
        except exceptions.GoogleAPICallError as error:
            return missing(what, f"a dry run of reading {table} fails: {type(error).__name__}.")
    return ok(what, "its tables users and orders may be read.")


def _check_making(client: bigquery.Client, settings: Settings, dataset: str, what: str) -> Finding:
    statement = (
        f"create schema `{dataset}` options(location={BigQuerySql().literal(settings.bigquery_location)})"
    )
    try:
        _dry_run(client, statement)
    except (exceptions.Forbidden, exceptions.Unauthorized):
        return missing(
            what,
            f"it is not there and may not be made. Grant roles/bigquery.user on the project {client.project} "
            f"(bigquery.datasets.create), or make the dataset in {settings.bigquery_location} and grant "
            "roles/bigquery.dataEditor on it.",
        )
    except exceptions.GoogleAPICallError as error:
        return not_checked(
            what, f"it is not there, and a dry run of making it fails: {type(error).__name__}."
        )
    return ok(what, f"it is not there; the first load makes it in {settings.bigquery_location}.")


def _dry_run(client: bigquery.Client, statement: str) -> None:
    client.query(
        statement,
        job_config=bigquery.QueryJobConfig(dry_run=True, use_query_cache=False),
        timeout=_TIMEOUT,
    )
