"""Clients of Google's services: application default credentials, or an emulator on this machine."""

from __future__ import annotations

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from braze_platform.settings import Settings


def bigquery_client(settings: Settings) -> bigquery.Client:
    """A client of BigQuery for one installation; raises `SettingsError` when the project is not set."""
    settings.require_google()
    if settings.bigquery_emulator_url:
        return bigquery.Client(
            project=settings.bigquery_project,
            location=settings.bigquery_location,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options=ClientOptions(api_endpoint=settings.bigquery_emulator_url),
        )
    return bigquery.Client(project=settings.bigquery_project, location=settings.bigquery_location)


def storage_client(settings: Settings) -> storage.Client:
    """A client of Cloud Storage for one installation; raises `SettingsError` when the bucket is not set."""
    settings.require_google()
    if settings.storage_emulator_url:
        return storage.Client(
            project=settings.bigquery_project,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options=ClientOptions(api_endpoint=settings.storage_emulator_url),
        )
    return storage.Client(project=settings.bigquery_project)
