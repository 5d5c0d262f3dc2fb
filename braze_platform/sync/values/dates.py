"""Dates and times in the one form that is sent: ISO 8601, in UTC. Pure.

Besides ISO 8601, text is read in the other forms that Braze reads as a date
(https://www.braze.com/docs/api/objects_filters/user_attributes_object); what Braze would keep as mere text is refused.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone

from braze_platform.sync.values.rejected import ValueRejected

MAX_YEAR = 3000
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MONTH_FIRST = re.compile(r"(\d{2})/(\d{2})/(\d{4})", re.ASCII)
_ZONE = r"(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)"
# A colon before the milliseconds: one of Braze's forms writes them so.
_TIMESTAMP = re.compile(
    rf"(\d{{4}}-\d{{2}}-\d{{2}})[T ](\d{{2}}):(\d{{2}})(?::(\d{{2}})(?:[.,](\d{{1,9}})|:(\d{{3}}))?)?\s*{_ZONE}?",
    re.ASCII,
)
#: `ddd MM dd HH:mm:ss.TZD YYYY`
_WEEKDAY_FIRST = re.compile(
    rf"([A-Z][a-z]{{2}}) (\d{{2}}) (\d{{2}}) (\d{{2}}):(\d{{2}}):(\d{{2}})\.{_ZONE} (\d{{4}})", re.ASCII
)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def date_text(value: object) -> str:
    """`YYYY-MM-DD`, of a parsed its day in UTC; raises `ValueRejected`."""
    if isinstance(value, datetime):
        day = _utc(value).date()
    elif isinstance(value, date):
        day = value
    elif isinstance(value, str):
        day = _parsed(value.strip(), "date").date()
    else:
        raise ValueRejected(f"is of type {type(value).__name__}, declared as date")
    if day.year > MAX_YEAR:
        raise ValueRejected(f"is a date after the year {MAX_YEAR}, which Braze stores as text")
    return day.isoformat()


def timestamp_text(value: object) -> str:
    """`YYYY-MM-DDTHH:MM:SS[.mmm]Z`; a time without a zone is UTC, a day its first parsed. Raises `ValueRejected`."""
    if isinstance(value, datetime):
        parsed = _utc(value)
    elif isinstance(value, date):
        parsed = datetime.combine(value, time(), timezone.utc)
    elif isinstance(value, str):
        parsed = _parsed(value.strip(), "timestamp")
    else:
        raise ValueRejected(f"is of type {type(value).__name__}, declared as timestamp")
    if parsed.year > MAX_YEAR:
        raise ValueRejected(f"is a time after the year {MAX_YEAR}, which Braze stores as text")
    milliseconds = parsed.microsecond // 1000
    text = parsed.replace(microsecond=0, tzinfo=None).isoformat()
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"


def _utc(parsed: datetime) -> datetime:
    """A naive time is UTC already."""
    if parsed.tzinfo is None:
        return parsed.replace(tzinfo=timezone.utc)
    try:
        return parsed.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueRejected("is a time outside the calendar in UTC") from error


def _parsed(text: str, declared: str) -> datetime:
    """The parsed that a text means in one of the forms, in UTC."""
    if found := _DATE.fullmatch(text):
        return datetime.combine(_day(*found.groups()), time(), timezone.utc)
    if found := _MONTH_FIRST.fullmatch(text):
        month, day, year = found.groups()
        if int(month) > 12:
            raise ValueRejected("is a date with the day first, where Braze reads MM/dd/yyyy; use ISO 8601")
        return datetime.combine(_day(year, month, day), time(), timezone.utc)
    if found := _TIMESTAMP.fullmatch(text):
        written, hour, minute, second, fraction, milliseconds, zone = found.groups()
        of_day = _DATE.fullmatch(written)
        assert of_day is not None
        microsecond = int((fraction or milliseconds or "").ljust(6, "0")[:6])
        return _moment(_day(*of_day.groups()), (hour, minute, second or "0"), microsecond, zone)
    if found := _WEEKDAY_FIRST.fullmatch(text):
        weekday, month, day, hour, minute, second, zone, year = found.groups()
        on = _day(year, month, day)
        if _WEEKDAYS[on.weekday()] != weekday:
            raise ValueRejected("is a date whose day of the week is another one; use ISO 8601")
        return _moment(on, (hour, minute, second), 0, zone)
    raise ValueRejected(f"is text that is not ISO 8601, declared as {declared}")


def _day(year: str, month: str, day: str) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError as error:
        raise ValueRejected("is a day that is not in the calendar") from error


def _moment(day: date, clock: tuple[str, str, str], microsecond: int, zone: str | None) -> datetime:
    offset = timezone.utc
    if zone and zone not in ("Z", "z", "UTC", "GMT"):
        digits = zone[1:].replace(":", "").ljust(4, "0")
        distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        if distance >= timedelta(hours=24):
            raise ValueRejected("is a time with an impossible offset from UTC")
        offset = timezone(-distance if zone[0] == "-" else distance)
    try:
        at = time(int(clock[0]), int(clock[1]), int(clock[2]), microsecond, tzinfo=offset)
    except ValueError as error:
        raise ValueRejected("is a time that is not on the clock") from error
    return _utc(datetime.combine(day, at))
