"""Numbers of a warehouse in one canonical form, without a digit lost. Pure."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

from braze_platform.sync.values.rejected import ValueRejected

#: 64 bits, what a warehouse's BIGINT and INT64 hold.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
#: Digits of a float that arithmetic in another order leaves alone: an average computed again may differ in the last bit
#: of the 53 that a float has.
SIGNIFICANT_DIGITS = 15
#: Above this not every whole number has a float of its own.
_MAX_EXACT_FLOAT = 2**53
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MAX_EXPONENT = 400
#: Half a unit of the last significant digit, of a number that begins with 1.
_ROUNDING = 5e-15
_EXACT = Context(prec=2 * _MAX_EXPONENT, rounding=ROUND_HALF_EVEN)


def integer(value: object) -> int:
    """A whole number of 64 bits; raises `ValueRejected` for any other."""
    if type(value) is int and MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    exact = _decimal(value, "integer")
    if exact != exact.to_integral_value():
        raise ValueRejected("has a fraction, declared as integer")
    whole = int(exact)
    if not MIN_INTEGER <= whole <= MAX_INTEGER:
        raise ValueRejected("is out of the range of 64-bit integers")
    return whole


def number(value: object, decimals: int | None = None) -> int | float | Decimal:
    """The canonical form of a number, equal for equal numbers: an integer where it is whole.

    Integers and decimals keep every digit. A float has `SIGNIFICANT_DIGITS` of them, since its last bits depend on the
    order in which a warehouse added up. With `decimals`, any number is rounded to so many places. Raises
    `ValueRejected`.
    """
    if type(value) is int and decimals is None and MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueRejected("is not a finite number")
        if not _is_exact(value):
            value = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
            if decimals is None and math.isfinite(value) and not value.is_integer():
                return value
        exact = _decimal(repr(value), "number")
    else:
        exact = _decimal(value, "number")
    if decimals is not None:
        exact = exact.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)
    return _canonical(exact)


def differ_by_rounding_alone(one: object, other: object) -> bool:
    """Whether two floats are one number computed in two orders: nearer than their significant digits can tell.

    >>> differ_by_rounding_alone(0.1 + 0.2, 0.3), differ_by_rounding_alone(9007199254740991.0, 9007199254740990.0)
    (True, False)
    """
    if not (isinstance(one, float) and isinstance(other, float)) or (_is_exact(one) and _is_exact(other)):
        return False
    return math.isclose(one, other, rel_tol=_ROUNDING)


def number_text(value: int | float | Decimal) -> str:
    """A number as text: an integer's and a decimal's own digits, a float's shortest.

    >>> number_text(123456789012345678), number_text(Decimal("12.50")), number_text(1.0)
    ('123456789012345678', '12.50', '1')
    """
    if isinstance(value, Decimal):
        return format(_checked(value), "f")
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        raise ValueRejected("is not a finite number")
    return str(int(value)) if _is_exact(value) else repr(value)


def _is_exact(value: float) -> bool:
    """Whether a float is a whole number that arithmetic in any order comes to."""
    return value.is_integer() and abs(value) <= _MAX_EXACT_FLOAT


def _canonical(exact: Decimal) -> int | float | Decimal:
    """An int of 64 bits, else a float where its significant digits say the number, else the decimal itself."""
    if exact == exact.to_integral_value() and MIN_INTEGER <= exact <= MAX_INTEGER:
        return int(exact)
    short = float(exact)
    if not math.isfinite(short) or (short == 0 and exact != 0):
        raise ValueRejected("is out of the range of numbers")
    if Decimal(f"{short:.{SIGNIFICANT_DIGITS}g}") == exact:
        return short
    return exact.normalize(_EXACT)


def _decimal(value: object, declared: str) -> Decimal:
    """The exact number that a value means, finite and of a sane exponent."""
    if isinstance(value, bool):
        raise ValueRejected(f"is a boolean, declared as {declared}")
    if isinstance(value, int):
        exact = Decimal(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueRejected("is not a finite number")
        exact = Decimal(value)
    elif isinstance(value, Decimal):
        exact = value
    elif isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            raise ValueRejected(f"is text that is not a number, declared as {declared}")
        exact = Decimal(text)
    else:
        raise ValueRejected(f"is of type {type(value).__name__}, declared as {declared}")
    return _checked(exact)


def _checked(exact: Decimal) -> Decimal:
    if not exact.is_finite():
        raise ValueRejected("is not a finite number")
    if exact and abs(exact.adjusted()) > _MAX_EXPONENT:
        raise ValueRejected("is out of the range of numbers")
    return exact
