"""Recommended eCommerce events: one that breaks its schema is dropped whole, and the answer names it."""

from __future__ import annotations

from typing import Any

import pytest

from braze_platform.sandbox.api.ecommerce import schema_mistake
from braze_platform.sandbox.api.track import read_request

PRODUCT = {"product_id": "p", "product_name": "P", "variant_id": "v", "quantity": 1, "price": 9.5}
ORDER: dict[str, Any] = {
    "order_id": "o",
    "total_value": 9.5,
    "currency": "EUR",
    "products": [PRODUCT],
    "source": "shop",
}
CART: dict[str, Any] = {"cart_id": "c", "currency": "EUR", "products": [PRODUCT], "source": "shop"}


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("ecommerce.order_placed", ORDER | {"total_discounts": 1, "metadata": {"own": 1}}),
        ("ecommerce.order_refunded", ORDER),
        ("ecommerce.order_cancelled", ORDER | {"cancel_reason": "late"}),
        ("ecommerce.cart_updated", CART | {"total_value": 9.5}),
        ("ecommerce.cart_updated", CART | {"action": "add"}),
        ("ecommerce.OrderPlaced", {}),
        ("order_placed", {"anything": 1}),
    ],
)
def test_good_events_and_other_names(name: str, properties: dict[str, Any]) -> None:
    assert schema_mistake(name, properties) is None


@pytest.mark.parametrize(
    ("name", "properties", "mistake"),
    [
        ("ecommerce.order_placed", ORDER | {"own": 1}, "own"),
        ("ecommerce.order_placed", ORDER | {"total_value": -1}, "total_value"),
        ("ecommerce.order_placed", ORDER | {"total_value": "9.5"}, "total_value"),
        ("ecommerce.order_placed", ORDER | {"currency": "EURO"}, "currency"),
        ("ecommerce.order_placed", ORDER | {"products": [PRODUCT | {"quantity": 1.5}]}, "products"),
        ("ecommerce.order_placed", ORDER | {"products": [PRODUCT | {"own": 1}]}, "products"),
        ("ecommerce.order_placed", {"order_id": "o"}, "total_value"),
        ("ecommerce.order_cancelled", ORDER, "cancel_reason"),
        ("ecommerce.cart_updated", CART, "total_value"),
        ("ecommerce.cart_updated", CART | {"action": "swap"}, "action"),
    ],
)
def test_events_that_break_their_schema(name: str, properties: dict[str, Any], mistake: str) -> None:
    found = schema_mistake(name, properties)
    assert found is not None and f"'{mistake}'" in found
    event = {"external_id": "u", "name": name, "time": "2026-01-02T03:04:05Z", "properties": properties}
    request = read_request({"events": [event, event | {"name": "other"}]})
    assert [(error.input_array, error.index) for error in request.errors] == [("events", 0)]
    assert request.answer()["events_processed"] == 1
