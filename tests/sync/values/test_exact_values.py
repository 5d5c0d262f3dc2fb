"""Digits and order of values on their whole way: model, plan, request, Braze, ledger, next plan."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from braze_platform.sync.declaration.sync import AttributeSpec

DIGITS = (
    AttributeSpec("text", "string"),
    AttributeSpec("number", "number"),
    AttributeSpec("price", "number"),
    AttributeSpec("price_text", "string"),
    AttributeSpec("nested", "object"),
    AttributeSpec("structured", "object"),
)


def digits_model(last: int) -> str:
    big = f"12345678901234567{last}"
    return (
        f"select 'u' as external_id, {big}::bigint as text, {big}::hugeint as number, "
        f"12345678901234.12345678{last}::decimal(38, 9) as price, 12.5{last}::decimal(10, 2) as price_text, "
        f"""'{{"id": {big}, "ids": [{big}], "d": 0.123456789012345678{last}}}'::json as nested, """
        f"{{'id': {big}::bigint}} as structured "
        # a row of nulls, by which careless conversions make floats of integers
        "union all select 'v', null, null, null, null, null, null"
    )


def test_every_digit_arrives_and_the_last_one_is_a_change(room: Any, braze: Any) -> None:
    room.declare(attributes=DIGITS)
    for last in (8, 9):
        room.model(digits_model(last))
        assert room.run().report.complete
        sent = json.loads(braze.bodies[-1], parse_float=Decimal)["attributes"][0]
        big = int(f"12345678901234567{last}")
        assert sent["text"] == str(big)
        assert sent["number"] == big
        assert sent["price"] == Decimal(f"12345678901234.12345678{last}")
        assert sent["price_text"] == f"12.5{last}"
        assert sent["nested"] == {"id": big, "ids": [big], "d": Decimal(f"0.123456789012345678{last}")}
        assert sent["structured"] == {"id": big}
        assert room.plan().objects == 0


def test_digits_survive_being_sent_apart(room: Any, braze: Any) -> None:
    """An object that Braze rejects is sent again attribute by attribute."""
    room.declare(attributes=DIGITS)
    room.model(digits_model(8))
    braze.rejects = lambda entry: "BAD_TEXT" if "text" in entry else None
    room.run()
    prices = [
        entry["price"]
        for body in braze.bodies[1:]
        for entry in json.loads(body, parse_float=Decimal)["attributes"]
        if "price" in entry
    ]
    assert prices == [Decimal("12345678901234.123456788")]


def test_another_order_of_an_array_is_a_change_unless_declared_unordered(room: Any, braze: Any) -> None:
    room.declare(attributes=(AttributeSpec("tags", "array"), AttributeSpec("pool", "array", unordered=True)))
    model = "select 'u' as external_id, ['b', 'a', 'c'] as tags, ['b', 'a', 'c'] as pool"
    room.model(model)
    assert room.run().report.complete
    assert braze.profiles["u"] == {"tags": ["b", "a", "c"], "pool": ["a", "b", "c"]}
    room.model(model.replace("['b', 'a', 'c']", "['a', 'b', 'c']"))
    plan = room.plan()
    assert (plan.attributes["tags"].changed, plan.attributes["pool"].changed) == (1, 0)
    assert room.run().report.complete
    assert braze.profiles["u"]["tags"] == ["a", "b", "c"]


def test_an_average_computed_in_another_order_sends_nothing(room: Any, braze: Any) -> None:
    room.declare(attributes=(AttributeSpec("mean", "number"), AttributeSpec("rounded", "number", decimals=2)))
    draw = random.Random(7)
    amounts = [[round(draw.uniform(1, 500), 2) for _ in range(40)] for _ in range(2_000)]

    def build() -> None:
        rows = ", ".join(f"('u{i}', {float(sum(row))!r} / 40)" for i, row in enumerate(amounts))
        room.model(
            f"select id as external_id, v::double as mean, v::double as rounded from (values {rows}) t(id, v)"
        )

    build()
    room.configure(braze_concurrency=2)
    assert room.run().report.complete
    for row in amounts:
        draw.shuffle(row)
    before = room.sql("select count(*) from attributes.braze_customers")
    build()
    differing = room.sql(
        "select count(*) from attributes.braze_customers m join braze_sync.ledger_braze_customers l "
        "on m.external_id = l._user where m.mean is distinct from l.mean"
    )[0][0]
    assert before == [(2_000,)] and differing > 500
    assert room.plan().objects == 0
    amounts[3][0] += 0.01
    build()
    assert room.plan().objects == 1


@pytest.mark.parametrize("kind", ["integer", "number", "string"])
def test_a_change_beyond_the_digits_of_floats_is_planned(room: Any, kind: Any) -> None:
    room.declare(attributes=(AttributeSpec("n", kind),))
    room.model("select 'u' as external_id, 9007199254740992::bigint as n")
    assert room.run().report.complete
    room.model("select 'u' as external_id, 9007199254740993::bigint as n")
    assert room.plan().attributes["n"].changed == 1
