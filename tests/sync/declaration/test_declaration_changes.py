"""A ledger follows its sync's declaration without sending again what Braze has."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from braze_platform.sync.declaration.sync import AttributeSpec, Identifier
from braze_platform.sync.ledger import identifier_change
from braze_platform.sync.ledger.store import LedgerError, SyncStore

SCORE = AttributeSpec("score", "integer")


@pytest.fixture
def known(room: Any, braze: Any) -> Any:
    """A room whose five users are at Braze, the third with a value that was refused."""
    braze.rejects = lambda entry: "BAD" if entry.get("score") == 3 else None
    room.declare(attributes=(SCORE,))
    model(room)
    room.run()
    return room


def model(room: Any, score: str = "i", keys: str = "'e' || i as external_id, 'b' || i as braze_id") -> None:
    room.model(
        f"select {keys}, cast({score} as bigint) as score, cast({score} as bigint) as points from range(5) t(i)"
    )


def test_a_renamed_column_sends_nothing(known: Any, braze: Any) -> None:
    known.declare(attributes=(dataclasses.replace(SCORE, column="points"),))
    assert known.run().plan.objects == 0


def test_an_attribute_with_a_new_name_is_new_to_braze_and_the_old_one_stays_known(
    known: Any, braze: Any
) -> None:
    braze.rejects = lambda entry: None
    known.declare(attributes=(AttributeSpec("points", "integer"),))
    assert known.run().plan.attributes["points"].new == 5
    known.declare(attributes=(SCORE, AttributeSpec("points", "integer")))
    assert known.run().plan.objects == 0


def test_names_that_differ_in_case_are_two_attributes(known: Any, braze: Any) -> None:
    braze.rejects = lambda entry: None
    known.declare(attributes=(AttributeSpec("Score", "integer", column="score"),))
    assert known.run().plan.attributes["Score"].new == 5
    assert braze.profiles["e1"] == {"score": 1, "Score": 1}
    assert known.run().plan.objects == 0


def test_another_column_of_the_same_identifier_changes_nothing(known: Any, braze: Any) -> None:
    model(known, keys="'e' || i as customer_id")
    known.declare(identifier=Identifier("external_id", ("customer_id",)))
    plan = known.run().plan
    assert (plan.objects, plan.attributes["score"].known_rejected) == (0, 1)


@pytest.mark.parametrize("where", ["model", "identity"])
def test_users_get_the_keys_of_a_new_identifier(known: Any, braze: Any, where: str) -> None:
    if where == "identity":
        known.sql(
            "create schema intermediate",
            "create table intermediate.int_user_identity as select 'e' || i as external_id, 'b' || i as braze_user_id, "
            "'b' || i as surviving_braze_user_id, false as is_deleted from range(5) t(i)",
            "select 1",
        )
        model(known, keys="'b' || i as braze_id")
    known.declare(identifier=Identifier("braze_id", ("braze_id",)))
    sent = len(braze.received)
    plan = known.run().plan
    # What was refused stays refused until it changes.
    assert (plan.objects, plan.attributes["score"].known_rejected) == (0, 1) and len(braze.received) == sent
    assert known.sql("select _user from braze_sync.ledger_braze_customers order by 1") == [
        (f"b{i}",) for i in (0, 1, 2, 4)
    ]
    model(known, "case when i = 0 then 9 else i end", keys="'b' || i as braze_id")
    run = known.run()
    assert run.plan.objects == 1 and braze.received[-1][0]["braze_id"] == "b0"


def test_a_user_alias_has_two_keys(known: Any, braze: Any) -> None:
    model(known, keys="'e' || i as external_id, 'a' || i as alias, 'crm' as label")
    known.declare(identifier=Identifier("user_alias", ("alias", "label")))
    assert known.run().plan.objects == 0
    model(known, keys="'e' || i as external_id, 'a' || i as alias, 'crm' as label")
    known.declare(identifier=Identifier("external_id", ("external_id",)))
    plan = known.run().plan
    assert (plan.objects, plan.attributes["score"].known_rejected) == (0, 1)


def test_a_change_that_was_killed_is_finished(known: Any, braze: Any, monkeypatch: Any) -> None:
    known.declare(identifier=Identifier("braze_id", ("braze_id",)))
    original, noted = identifier_change.declare, []

    def killed(store: SyncStore, attribute: str, declared: str) -> None:
        original(store, attribute, declared)
        noted.append(declared)
        raise KeyboardInterrupt

    monkeypatch.setattr(identifier_change, "declare", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            known.run()
    assert noted == ["ready: braze_id: braze_id", "braze_id: braze_id"]
    monkeypatch.undo()
    assert known.run().plan.objects == 0


def test_nobody_knows_the_new_keys(known: Any) -> None:
    model(known, keys="'b' || i as braze_id")
    known.declare(identifier=Identifier("braze_id", ("braze_id",)))
    with pytest.raises(
        LedgerError, match=r"keyed by external_id.*Keep the column external_id.*ledger rebuild"
    ):
        known.plan()


def test_another_transport_goes_on_with_the_ledger(known: Any, braze: Any) -> None:
    known.declare(transport="bulk")
    assert known.run().plan.objects == 0
