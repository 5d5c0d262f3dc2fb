"""The six eCommerce events that Braze recommends: one that breaks its schema is dropped whole.

Source: https://www.braze.com/docs/user_guide/data/activation/events/recommended_events/ecommerce_events. A name that is
only like one of them is an ordinary custom event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pycountry

_ORDER = ("total_value", "currency", "products", "source")
_AMOUNTS = ("subtotal_value", "tax", "shipping", "metadata")
_DISCOUNTS = ("total_discounts", "discounts")
#: For each name, the properties that are required and those that may be there beside them.
_SCHEMAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ecommerce.product_viewed": (
        ("product_id", "product_name", "variant_id", "price", "currency", "source"),
        ("image_url", "product_url", "type", "metadata"),
    ),
    "ecommerce.cart_updated": (
        ("cart_id", "currency", "products", "source"),
        ("action", "total_value", *_AMOUNTS),
    ),
    "ecommerce.checkout_started": (("checkout_id", *_ORDER), ("cart_id", *_AMOUNTS)),
    "ecommerce.order_placed": (("order_id", *_ORDER), ("cart_id", *_AMOUNTS, *_DISCOUNTS)),
    "ecommerce.order_cancelled": (("order_id", "cancel_reason", *_ORDER), (*_AMOUNTS, *_DISCOUNTS)),
    "ecommerce.order_refunded": (("order_id", *_ORDER), (*_DISCOUNTS, "metadata")),
}
_PRODUCT = (
    ("product_id", "product_name", "variant_id", "quantity", "price"),
    ("image_url", "product_url", "metadata"),
)


def _is_money(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_quantity(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("price", "total_value", "subtotal_value", "tax", "shipping", "total_discounts"), _is_money
    ),
    "quantity": _is_quantity,
    "currency": lambda value: isinstance(value, str) and pycountry.currencies.get(alpha_3=value) is not None,
    "action": lambda value: value in ("add", "remove", "replace"),
    "products": lambda value: isinstance(value, list) and not any(_mistake(one, _PRODUCT) for one in value),
    "metadata": lambda value: isinstance(value, dict),
    "discounts": lambda value: isinstance(value, list),
    "type": lambda value: isinstance(value, list) and set(value) <= {"price_drop", "back_in_stock"},
}


def schema_mistake(name: str, properties: Mapping[str, Any]) -> str | None:
    """Why Braze drops an event of one of the six names; None for a good one, and for any other event."""
    schema = _SCHEMAS.get(name)
    if schema is None:
        return None
    mistake = _mistake(properties, schema)
    replaces = name == "ecommerce.cart_updated" and properties.get("action", "replace") == "replace"
    if mistake is None and replaces and "total_value" not in properties:
        mistake = "total_value"
    return None if mistake is None else f"'{mistake}' breaks the schema of {name}"


def _mistake(given: Any, schema: tuple[tuple[str, ...], tuple[str, ...]]) -> str | None:
    """The first property that is missing, unknown or of a wrong kind."""
    required, optional = schema
    if not isinstance(given, Mapping):
        return "products"
    for name in required:
        if name not in given:
            return name
    for name, value in given.items():
        if name not in (*required, *optional):
            return str(name)
        if not _CHECKS.get(name, _is_text)(value):
            return str(name)
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
