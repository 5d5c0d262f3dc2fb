"""JSON text whose numbers keep all their digits, read and written. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | Decimal | str | list[JsonValue] | dict[str, JsonValue] | None"


class _HoldsDecimalError(Exception):
    """The standard encoder met a number that only its own digits can say."""


def _not_json(value: object) -> object:
    if isinstance(value, Decimal):
        raise _HoldsDecimalError
    raise TypeError(f"No JSON for a value of type {type(value).__name__}")


# One encoder for all: json.dumps would make another for every call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_not_json)
_ENCODER_AS_TOLD = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=float)


def encode(value: object) -> str:
    """Compact JSON text, UTF-8 characters kept as they are, a Decimal by its own digits.

    >>> encode({"a": Decimal("12345678901234.123456789"), "b": 1.5})
    '{"a":12345678901234.123456789,"b":1.5}'
    """
    try:
        return _ENCODER.encode(value)
    except _HoldsDecimalError:
        return _written(value)


def encode_as_received(value: object) -> str:
    """As `encode`, with decimals as the floats that Braze reports of them: two forms of what is one value to it."""
    return _ENCODER_AS_TOLD.encode(value)


def decode(text: str | bytes) -> object:
    """What a JSON text says, a number with a fraction or an exponent as Decimal: nothing is rounded.

    Raises `ValueError` for what is not JSON, `RecursionError` for what is nested too deeply.

    >>> encode(decode('{"a":0.1234567890123456789,"b":9007199254740993}'))
    '{"a":0.1234567890123456789,"b":9007199254740993}'
    """
    return json.loads(text, parse_float=Decimal)


def decimal_text(value: Decimal) -> str:
    """The digits of a finite Decimal without an exponent; zeros at its end are kept.

    >>> decimal_text(Decimal("12.50")), decimal_text(Decimal("1E+2"))
    ('12.50', '100')
    """
    return format(value, "f")


def _written(value: object) -> str:
    """The slow way: the standard encoder writes Decimals only by way of floats."""
    if isinstance(value, Decimal):
        short = float(value)
        return repr(short) if Decimal(repr(short)) == value else decimal_text(value)
    if isinstance(value, Mapping):
        pairs = (f"{_ENCODER.encode(str(key))}:{_written(item)}" for key, item in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_written, value))}]"
    return _ENCODER.encode(value)


def value_hash(value: object) -> str:
    """A short hash of a value, by which it is known again without keeping it, also in what Braze reports of it."""
    return hashlib.sha256(encode_as_received(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]
