"""Google's services as dagster-gcp's resources: application default credentials, or an emulator on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dagster_gcp import BigQueryResource, GCSResource
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery, storage

from braze_platform.settings import Settings


def _without_proxy() -> AuthorizedSession:
    """requests takes the environment's proxy for addresses of this machine, too, where no proxy finds anything."""
    session = AuthorizedSession(AnonymousCredentials())  # type: ignore[no-untyped-call]
    session.trust_env = False
    return session


class EmulatedBigQueryResource(BigQueryResource):
    """BigQuery's REST interface at a loopback URL, which takes any caller."""

    url: str

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """A client of the emulator."""
        yield bigquery.Client(
            project=self.project,
            location=self.location,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options=ClientOptions(api_endpoint=self.url),
            _http=_without_proxy(),
        )


class EmulatedGCSResource(GCSResource):
    """Cloud Storage's JSON interface at a loopback URL, which takes any caller."""

    url: str

    def get_client(self) -> storage.Client:
        """A client of the emulator."""
        return storage.Client(
            project=self.project,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options=ClientOptions(api_endpoint=self.url),
            _http=_without_proxy(),
        )


def bigquery_resource(settings: Settings) -> BigQueryResource:
    """BigQuery for one installation."""
    project, location = settings.bigquery_project, settings.bigquery_location
    if settings.bigquery_emulator_url:
        return EmulatedBigQueryResource(
            project=project, location=location, url=settings.bigquery_emulator_url
        )
    return BigQueryResource(project=project, location=location)


def storage_resource(settings: Settings) -> GCSResource:
    """Cloud Storage for one installation."""
    if settings.storage_emulator_url:
        return EmulatedGCSResource(project=settings.bigquery_project, url=settings.storage_emulator_url)
    return GCSResource(project=settings.bigquery_project)


def bigquery_client(settings: Settings) -> bigquery.Client:
    """A client of BigQuery for one installation; raises `SettingsError` when the project or the bucket is not set."""
    settings.require_google()
    # Without a key of its own the resource has nothing to tidy up: the client may outlive the context.
    with bigquery_resource(settings).get_client() as client:
        return client


def storage_client(settings: Settings) -> storage.Client:
    """A client of Cloud Storage for one installation; raises `SettingsError` when the project or bucket is not set."""
    settings.require_google()
    return storage_resource(settings).get_client()
