from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from braze_platform.sync.declaration.declarations import DeclarationError, read_syncs
from braze_platform.sync.declaration.sync import AttributeSpec, Identifier, PlanLimits


def column(name: str, attribute: Any = None, where: str = "config") -> dict[str, Any]:
    meta = {} if attribute is None else {"braze_attribute": attribute}
    return {
        "name": name,
        "description": f"about {name}",
        "meta": meta if where == "meta" else {},
        "config": {"meta": meta if where == "config" else {}},
    }


def model(
    name: str = "braze_value", sync: Any = ..., columns: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    sync = {"transport": "track", "identifier": "external_id"} if sync is ... else sync
    columns = columns or [column("external_id"), column("score", {"type": "integer"})]
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": "attributes",
        "fqn": ["project", "attributes", name],
        "patch_path": "project://models/attributes/braze.yml",
        "original_file_path": f"models/attributes/{name}.sql",
        "config": {"meta": {} if sync is None else {"braze_sync": sync}},
        "columns": {entry["name"]: entry for entry in columns},
    }


def manifest(*models: dict[str, Any]) -> dict[str, Any]:
    test = {"resource_type": "test", "name": "not_null_score"}
    return {"nodes": {f"model.project.{m['name']}": m for m in models} | {"test.x": test}}


def mistakes(*models: dict[str, Any]) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        read_syncs(manifest(*models))
    assert str(len(caught.value.mistakes)) in str(caught.value)
    return list(caught.value.mistakes)


def test_a_declaration_is_read_whole() -> None:
    declared = {
        "transport": "bulk",
        "identifier": {"user_alias": {"name": "alias", "label": "label"}},
        "existing_only": False,
        "when_row_disappears": "clear",
        "limits": {"max_changed_share": 0.5, "max_objects": 10},
    }
    columns = [
        column("alias"),
        column("label"),
        column("score", {"type": "number", "nulls": "skip"}),
        column("tags", {"type": "array", "name": "Favourite tags"}, where="meta"),
    ]
    (sync,) = read_syncs(
        manifest(model(sync=declared, columns=columns), model("plain", None, [column("external_id")]))
    )
    assert (sync.name, sync.schema, sync.folder, sync.transport) == (
        "braze_value",
        "attributes",
        "attributes",
        "bulk",
    )
    assert sync.file == "models/attributes/braze.yml"
    assert sync.identifier == Identifier("user_alias", ("alias", "label"))
    assert (sync.existing_only, sync.when_row_disappears) == (False, "clear")
    assert sync.limits == PlanLimits(0.5, 10)
    assert sync.attributes == (
        AttributeSpec("score", "number", "skip", "score", "about score"),
        AttributeSpec("Favourite tags", "array", "clear", "tags", "about tags"),
    )


def test_defaults_are_careful() -> None:
    (sync,) = read_syncs(manifest(model()))
    assert (sync.existing_only, sync.when_row_disappears, sync.attributes[0].nulls) == (True, "keep", "clear")


GOOD = {"transport": "track", "identifier": "external_id"}


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (GOOD | {"trasport": "track"}, ["'trasport'", "did you mean 'transport'"]),
        (GOOD | {"transport": "carrier pigeon"}, ["`transport`", "track, bulk, cdi"]),
        (GOOD | {"when_row_disappears": "delete"}, ["`when_row_disappears`", "keep, clear"]),
        (GOOD | {"existing_only": "yes"}, ["`existing_only`", "true or false"]),
        (GOOD | {"limits": {"max_object": 1}}, ["'max_object'", "max_objects"]),
        (GOOD | {"limits": {"max_changed_share": 50}}, ["`max_changed_share`", "0 to 1"]),
        (GOOD | {"limits": {"max_objects": "many"}}, ["`max_objects`", "whole number"]),
        (GOOD | {"limits": 5}, ["`limits`"]),
        (GOOD | {"on_conflict": "crm"}, ["`on_conflict`", "warehouse_wins, braze_wins"]),
        (GOOD | {"priority": 1}, ["`priority`", "high, normal, low"]),
        ({"transport": "track"}, ["no `identifier`"]),
        ({"identifier": "externalid"}, ["'externalid'", "did you mean 'external_id'"]),
        ({"identifier": {"user_alias": {"name": "external_id"}}}, ["`user_alias`", "label"]),
        ({"identifier": {"cookie": "external_id"}}, ["'cookie'", "braze_id"]),
        ({"identifier": 3}, ["`identifier`"]),
        ("track", ["`braze_sync`"]),
    ],
)
def test_a_wrong_sync_is_named_with_its_remedy(sync: Any, words: list[str]) -> None:
    (mistake,) = mistakes(model(sync=sync))
    for word in ["models/attributes/braze.yml", "model braze_value", *words]:
        assert word in mistake


@pytest.mark.parametrize(
    ("name", "attribute", "words"),
    [
        ("score", {"type": "int"}, ["`type`", "did you mean"]),
        ("score", {"nulls": "clear"}, ["no `type`"]),
        ("score", {"type": "integer", "nulls": "zero"}, ["`nulls`", "clear, skip"]),
        ("score", {"type": "integer", "null": "clear"}, ["'null'", "nulls"]),
        ("score", "integer", ["`braze_attribute`"]),
        ("email", {"type": "string"}, ["'email'", "reserved"]),
        ("Braze_ID", {"type": "string"}, ["reserved"]),
        *(
            (name, {"type": "string"}, [f"{name!r}", "reserved"])
            for name in ("bio", "image_url", "Image_URL")
        ),
        *(
            (name, {"type": "string"}, ["reserved"])
            for name in ("push_token_import", "user_alias", "twitter")
        ),
        *(
            ("score", {"type": "string", "name": f"sco{character}re"}, [f"U+{ord(character):04X}", "`name`"])
            for character in "\n\r\t\0\x7f\x85\u200b\u200d\u200e\u202e\u2066\u2028\ufeff\u00ad\u00a0\u3164"
        ),
        ("score", {"type": "string", "name": "cafe\u0301"}, ["NFC", "`name`"]),
        ("score", {"type": "string", "unordered": True}, ["`unordered`", "`type: array`"]),
        ("score", {"type": "array", "unordered": "no"}, ["`unordered`", "true or false"]),
        ("score", {"type": "integer", "decimals": 2}, ["`decimals`", "`type: number`"]),
        ("score", {"type": "number", "decimals": -1}, ["`decimals`", "whole number"]),
        ("_merge_objects", {"type": "boolean"}, ["'_'", "controls"]),
        ("x" * 256, {"type": "string"}, ["256 characters", "255"]),
        ("score", {"type": "string", "name": "score "}, ["space"]),
        ("score", {"type": "string", "name": 7}, ["`name`"]),
        ("score", {"type": "string", "on_conflict": "me"}, ["`on_conflict`", "warehouse_wins, braze_wins"]),
        ("score", {"type": "integer", "nulls": "skip", "operator": "dec"}, ["`operator`", "inc"]),
        ("score", {"type": "string", "nulls": "skip", "operator": "inc"}, ["`type: integer`"]),
        ("score", {"type": "integer", "operator": "inc"}, ["`nulls: skip`"]),
        ("score", {"type": "array_of_objects", "nulls": "skip", "operator": "objects"}, ["`identifier_key`"]),
        ("score", {"type": "array", "identifier_key": "id"}, ["`identifier_key`", "`operator: objects`"]),
    ],
)
def test_a_wrong_attribute_is_named_with_its_column(name: str, attribute: Any, words: list[str]) -> None:
    (mistake,) = mistakes(model(columns=[column("external_id"), column(name, attribute)]))
    for word in [f"column {name}", "model braze_value", "models/attributes/braze.yml", *words]:
        assert word in mistake


def test_operators_conflicts_and_priorities_are_read() -> None:
    pets = {"type": "array_of_objects", "nulls": "skip", "operator": "objects", "identifier_key": "id"}
    columns = [
        column("external_id"),
        column("pets", pets),
        column(
            "visits", {"type": "integer", "nulls": "skip", "operator": "inc", "on_conflict": "braze_wins"}
        ),
    ]
    (sync,) = read_syncs(
        manifest(model(sync=GOOD | {"on_conflict": "warehouse_wins", "priority": "high"}, columns=columns))
    )
    assert sync.priority == "high"
    assert [(s.operator, s.identifier_key, s.on_conflict) for s in sync.attributes] == [
        ("objects", "id", "warehouse_wins"),
        ("inc", "", "braze_wins"),
    ]


def test_operators_do_not_travel_by_cloud_data_ingestion() -> None:
    columns = [column("external_id"), column("n", {"type": "integer", "nulls": "skip", "operator": "inc"})]
    (mistake,) = mistakes(model(sync=GOOD | {"transport": "cdi"}, columns=columns))
    assert "column n" in mistake and "`track` or `bulk`" in mistake


def test_the_identifier_is_no_attribute() -> None:
    columns = [column("external_id"), column("user_id", {"type": "string"})]
    (mistake,) = mistakes(model(sync={"identifier": "user_id"}, columns=columns))
    assert "column user_id" in mistake


def test_a_sync_without_attributes_and_an_attribute_without_sync() -> None:
    assert "without attributes" in mistakes(model(columns=[column("external_id")]))[0]
    (mistake,) = mistakes(model(sync=None))
    assert "column score" in mistake and "braze_sync" in mistake


def test_two_syncs_must_not_write_one_attribute() -> None:
    other = model("braze_other", columns=[column("external_id"), column("Score", {"type": "integer"})])
    (mistake,) = mistakes(model(), other)
    assert "braze_other" in mistake and "braze_value" in mistake


def test_all_mistakes_are_reported_at_once() -> None:
    wrong = deepcopy(GOOD) | {"transport": "x", "existing_only": 1}
    found = mistakes(model(sync=wrong, columns=[column("external_id"), column("email", {"type": "text"})]))
    assert len(found) == 4


def test_a_profile_field_gives_name_and_type() -> None:
    columns = [
        column("external_id"),
        column("iso_country", {"profile_field": "country"}),
        column("mobile", {"profile_field": "phone", "region": "DE"}),
        column("consent", {"profile_field": "subscription_groups", "nulls": "skip"}),
    ]
    (sync,) = read_syncs(manifest(model(columns=columns)))
    assert [(spec.name, spec.type, spec.column, spec.region) for spec in sync.attributes] == [
        ("country", "country", "iso_country", ""),
        ("phone", "phone", "mobile", "DE"),
        ("subscription_groups", "subscription_groups", "consent", ""),
    ]


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ({"profile_field": "contry"}, ["`profile_field`", "did you mean 'country'"]),
        ({"profile_field": "country", "type": "string"}, ["`profile_field` and `type`"]),
        ({"profile_field": "email", "name": "mail"}, ["`profile_field` and `name`"]),
        ({"profile_field": "email_subscribe"}, ["cannot be emptied", "nulls: skip"]),
        ({"type": "string", "region": "DE"}, ["`region`", "phone"]),
        ({"profile_field": "phone", "region": "Germany"}, ["`region`", "two letters"]),
        ({"type": "string", "name": "email"}, ["reserved", "profile_field: email"]),
    ],
)
def test_a_wrong_profile_field_is_named_with_its_remedy(attribute: Any, words: list[str]) -> None:
    (mistake,) = mistakes(model(columns=[column("external_id"), column("x", attribute)]))
    for word in ["column x", *words]:
        assert word in mistake


def test_a_sync_does_not_change_its_identifier() -> None:
    columns = [column("address"), column("mail", {"profile_field": "email"})]
    (mistake,) = mistakes(model(sync={"identifier": {"email": "address"}}, columns=columns))
    assert "cannot change its identifier" in mistake


def test_limits_are_read_whole() -> None:
    limits = {"max_cleared_share": 0.1, "max_row_fall": 0.2, "fresh": {"column": "score", "max_hours": 36}}
    (sync,) = read_syncs(manifest(model(sync=GOOD | {"limits": limits})))
    assert sync.limits == PlanLimits(
        max_cleared_share=0.1, max_row_fall=0.2, fresh_column="score", max_age_hours=36
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_cleared_share": 2}, ["`max_cleared_share`", "0 to 1"]),
        ({"max_row_fall": "some"}, ["`max_row_fall`", "0 to 1"]),
        ({"fresh": 24}, ["`fresh`", "max_hours"]),
        ({"fresh": {"column": "scor", "max_hours": 1}}, ["'scor'", "did you mean 'score'"]),
        ({"fresh": {"column": "score", "max_hours": 0}}, ["`max_hours`", "above 0"]),
    ],
)
def test_wrong_limits_are_named(limits: Any, words: list[str]) -> None:
    (mistake,) = mistakes(model(sync=GOOD | {"limits": limits}))
    for word in ["model braze_value", *words]:
        assert word in mistake


def test_a_former_name_is_read() -> None:
    [sync] = read_syncs(manifest(model(sync=deepcopy(GOOD) | {"formerly": "braze_readers"})))
    assert sync.formerly == "braze_readers"


@pytest.mark.parametrize("formerly", ["", 7, ["a"], "a b", True])
def test_a_former_name_that_is_no_name_is_a_mistake(formerly: object) -> None:
    [found] = mistakes(model(sync=deepcopy(GOOD) | {"formerly": formerly}))
    assert f"`formerly` is {formerly!r}; write the name" in found


def test_a_former_name_belongs_to_one_sync_which_is_no_sync_any_more() -> None:
    def renamed(name: str, attribute: str, formerly: str) -> dict[str, Any]:
        columns = [column("external_id"), column(attribute, {"type": "integer"})]
        return model(sync=deepcopy(GOOD) | {"formerly": formerly}, columns=columns) | {"name": name}

    both = mistakes(renamed("one", "a", "readers"), renamed("two", "b", "Readers"))
    assert (
        len(both) == 1 and "model two: `formerly` is 'Readers', which" in both[0] and "model one" in both[0]
    )
    still = mistakes(renamed("one", "a", "two"), renamed("two", "b", "earlier"))
    assert len(still) == 1 and "model one: `formerly` is 'two', which is a sync still" in still[0]
    itself = mistakes(renamed("one", "a", "one"))
    assert len(itself) == 1 and "which is a sync still" in itself[0]
