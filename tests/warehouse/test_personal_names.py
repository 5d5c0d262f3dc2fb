"""What is personal by its name, against the catalogue."""

from __future__ import annotations

import pytest

from braze_platform.currents.catalogue import catalogue, personal_fields
from braze_platform.warehouse.personal_names import HARMLESS, is_identifier, kind_of, personal_of

FIELDS = {field.name for event_type in catalogue().values() for field in event_type.fields}


def test_nothing_is_both_personal_and_harmless() -> None:
    assert not HARMLESS & personal_fields()
    assert not {name for name in HARMLESS if is_identifier(name)}
    assert {name for name in FIELDS if is_identifier(name)} <= personal_fields() | {"orphaned_by_id"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("surviving_braze_user_id", "braze_id"),
        ("customer_email", "email"),
        ("E_MAIL", "email"),
        ("emails_sent", None),
        ("user_phone_number", "phone"),
        ("mobile_phone", "phone"),
        ("from_phone_number", None),
        ("_user", "any"),
        ("last_user_update", None),
        ("alias_name", None),
        ("is_deleted_user", None),
        ("is_reachable_by_email", None),
        ("revenue_per_user", None),
    ],
)
def test_kinds_by_name(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_what_nobody_has_declared_is_personal() -> None:
    columns = {
        "user_id": "VARCHAR",
        "user_id__bigint": "BIGINT",
        "campaign_name": "VARCHAR",
        "campaign_name__string": "VARCHAR",
        "note": "VARCHAR",
        "notes": "VARCHAR[]",
        "of": "STRUCT<a STRING>",
        "said_harmless": "STRING",
        "clicks": "BIGINT",
        "latitude": "DOUBLE",
        "push_token": "VARCHAR",
    }
    assert personal_of(columns, {"latitude"}, {"said_harmless"}) == {
        "user_id",
        "user_id__bigint",
        "note",
        "notes",
        "of",
        "latitude",
        "push_token",
    }
