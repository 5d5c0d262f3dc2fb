"""What an installation's settings mean to the loader: its bucket, and how files are loaded."""

from __future__ import annotations

from braze_platform.currents.avro_blocks import AvroLimits
from braze_platform.currents.bucket import Bucket, FolderBucket
from braze_platform.currents.catalogue import contact_fields
from braze_platform.currents.loader import LoadOptions
from braze_platform.settings import Settings
from braze_platform.warehouse.personal_names import is_contact


def bucket_of(settings: Settings) -> Bucket:
    """A folder or a bucket of Google Cloud Storage, as the target says; nothing is opened until it is used."""
    if settings.target == "local":
        return FolderBucket(settings.bucket_dir)
    from braze_platform.currents.google_bucket import GoogleBucket
    from braze_platform.warehouse.google_clients import storage_client

    return GoogleBucket(lambda: storage_client(settings), settings.bucket_name)


def load_options(settings: Settings) -> LoadOptions:
    """How files are loaded."""
    return LoadOptions(
        avro=AvroLimits(settings.currents_max_fields, settings.currents_max_block_mb * 1024 * 1024),
        is_hashed=_is_contact if settings.hash_contacts else _is_none,
    )


def _is_contact(field: str) -> bool:
    """Whether a field names somebody's e-mail address or phone number, by Braze's glossary or by its name."""
    return field.lower() in contact_fields() or is_contact(field)


def _is_none(_field: str) -> bool:
    return False
