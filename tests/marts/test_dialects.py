"""The macros that write what DuckDB and BigQuery spell differently: equal values on both, GoogleSQL for BigQuery."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from dbt_runs import dbt
from googlesql import GoogleSqlJudge

from braze_platform.settings import PROJECT_ROOT, Settings
from braze_platform.warehouse.targets import warehouse_of

NOON = "timestamp '2026-11-10 12:00:00'"
NO_TIME = "cast(null as timestamp)"
TEXT = '{{ column_type("string") }}'
NO_TEXT = f"cast(null as {TEXT})"
NO_NUMBER = 'cast(null as {{ column_type("integer") }})'
PROPERTIES = (
    """'{"text": "garden", "whole": 3, "yes": true, "nothing": null, "inner": {"deep": 1}, "list": [1]}'"""
)

Cases = Mapping[str, list[tuple[str, object]]]

#: By macro: a call in Jinja, and what it must give (worked out by hand from the macro's description).
CASES: Cases = {
    "inlined": [
        (
            "(with one as {{ inlined() }} (select 1 as part) select a.part + b.part from one as a cross join one as b)",
            2,
        ),
    ],
    "epoch_to_timestamp": [
        ("{{ epoch_to_timestamp('0') }}", datetime(1970, 1, 1)),
        ("{{ epoch_to_timestamp('1762776001') }}", datetime(2025, 11, 10, 12, 0, 1)),
        ("{{ epoch_to_timestamp('253402300799') }}", datetime(9999, 12, 31, 23, 59, 59)),
        # no times: negative, in milliseconds or microseconds, the greatest number
        *(
            (f"{{{{ epoch_to_timestamp('{seconds}') }}}}", None)
            for seconds in (-1, 253402300800, 1762776001000000, 2**62, -(2**62), 2**63 - 1)
        ),
        ('{{ epoch_to_timestamp(\'cast(null as \' ~ column_type("integer") ~ ")") }}', None),
    ],
    "epoch_seconds": [
        (f'{{{{ epoch_seconds("{NOON}") }}}}', 1794312000),
        ("{{ epoch_seconds(\"timestamp '1970-01-01 00:00:01'\") }}", 1),
        (f'{{{{ epoch_seconds("{NO_TIME}") }}}}', None),
    ],
    "blank_to_null": [
        ("{{ blank_to_null(\"'ada'\") }}", "ada"),
        ("{{ blank_to_null(\"' ada '\") }}", " ada "),
        ("{{ blank_to_null(\"''\") }}", None),
        ("{{ blank_to_null(\"'  '\") }}", None),
        ("{{ blank_to_null('chr(9) || chr(10) || chr(13)') }}", None),
        ("{{ blank_to_null(no_text) }}", None),
    ],
    "seconds_between": [
        (f'{{{{ seconds_between("{NOON}", "timestamp \'2026-11-11 12:00:01\'") }}}}', 86401),
        (f'{{{{ seconds_between("{NOON}", "timestamp \'2026-11-10 11:59:59\'") }}}}', -1),
        (f'{{{{ seconds_between("{NOON}", "{NOON}") }}}}', 0),
        (f'{{{{ seconds_between("{NO_TIME}", "{NOON}") }}}}', None),
        (f'{{{{ seconds_between("{NOON}", "{NO_TIME}") }}}}', None),
    ],
    "days_after": [
        (f'{{{{ days_after("{NOON}", 1) }}}}', datetime(2026, 11, 11, 12)),
        (f'{{{{ days_after("{NOON}", -10) }}}}', datetime(2026, 10, 31, 12)),
        (f'{{{{ days_after("{NOON}", 0) }}}}', datetime(2026, 11, 10, 12)),
        (f'{{{{ days_after("{NO_TIME}", 1) }}}}', None),
    ],
    "epoch_microseconds": [
        (f'{{{{ epoch_microseconds("{NOON}") }}}}', 1794312000000000),
        ("{{ epoch_microseconds(\"timestamp '1970-01-01 00:00:00.000012'\") }}", 12),
        (f'{{{{ epoch_microseconds("{NO_TIME}") }}}}', None),
    ],
    "week_of": [
        ("{{ week_of(\"date '2026-11-15'\") }}", date(2026, 11, 9)),  # a Sunday
        ("{{ week_of(\"date '2026-11-16'\") }}", date(2026, 11, 16)),  # a Monday
        ("{{ week_of('cast(null as date)') }}", None),
    ],
    "date_after": [
        ("{{ date_after(\"date '2026-11-30'\", 1) }}", date(2026, 12, 1)),
        ("{{ date_after(\"date '2026-11-10'\", -10) }}", date(2026, 10, 31)),
        ("{{ date_after('cast(null as date)', 1) }}", None),
    ],
    "days_between": [
        ("{{ days_between(\"date '2026-11-30'\", \"date '2026-12-02'\") }}", 2),
        ("{{ days_between(\"date '2026-12-02'\", \"date '2026-11-30'\") }}", -2),
        ("{{ days_between('cast(null as date)', \"date '2026-12-02'\") }}", None),
    ],
    "json_text": [
        ("{{ json_text('properties', 'text') }}", "garden"),
        ("{{ json_text('properties', 'whole') }}", "3"),
        ("{{ json_text('properties', 'yes') }}", "true"),
        ("{{ json_text('properties', 'nothing') }}", None),
        ("{{ json_text('properties', 'inner') }}", None),
        ("{{ json_text('properties', 'list') }}", None),
        ("{{ json_text('properties', 'absent') }}", None),
        # A number that BigQuery's doubles do not say exactly costs its neighbours nothing.
        (
            "{{ json_text(\"'{"
            + r"\"order_id\": \"A1\", \"viewed_at\": 1686725407.683936, \"wide\": 0.12345678901234567890"
            + "}'\", 'order_id') }}",
            "A1",
        ),
        ("{{ json_text(\"'no json'\", 'text') }}", None),
        ("{{ json_text(\"''\", 'text') }}", None),
        ("{{ json_text(no_text, 'text') }}", None),
    ],
    "json_part": [
        ("{{ json_part('properties', 'text') }}", '"garden"'),
        ("{{ json_part('properties', 'whole') }}", "3"),
        ("{{ json_part('properties', 'yes') }}", "true"),
        ("{{ json_part('properties', 'nothing') }}", None),
        ("{{ json_part('properties', 'inner') }}", '{"deep":1}'),
        ("{{ json_part('properties', 'absent') }}", None),
        ("{{ json_part(no_text, 'text') }}", None),
    ],
    "json_items": [
        (
            "(select string_agg(item, '|' order by item) from (select 1 as one) as one cross join "
            '{{ json_items("\'[3, \\"b\\", {\\"c\\": 1}]\'") }})',
            '"b"|3|{"c":1}',
        ),
        ("(select count(*) from (select 1 as one) as one cross join {{ json_items(\"'[]'\") }})", 0),
        ("(select count(*) from (select 1 as one) as one cross join {{ json_items(no_text) }})", 0),
    ],
    "matches": [
        ("{{ matches(\"'abc-12'\", '^[a-z]+-[0-9]{2}$') }}", True),
        ("{{ matches(\"'abc-12'\", 'b') }}", True),
        ("{{ matches(\"'abc-12'\", '^b') }}", False),
        ("{{ matches(\"''\", '^$') }}", True),
        ("{{ matches(no_text, 'b') }}", None),
    ],
    "text_hash": [
        (
            "{{ text_hash(\"'abc'\") }}",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",  # FIPS 180-2, appendix B.1
        ),
        ("{{ text_hash(no_text) }}", None),
    ],
    "column_type": [
        ('cast(5 as {{ column_type("string") }})', "5"),
        ("cast('5' as {{ column_type(\"integer\") }})", 5),
        ("cast('1.5' as {{ column_type(\"number\") }})", 1.5),
        ("cast('true' as {{ column_type(\"boolean\") }})", True),
        ("cast('2026-11-10 12:00:00' as {{ column_type(\"timestamp\") }})", datetime(2026, 11, 10, 12)),
        ("cast('2026-11-10' as {{ column_type(\"date\") }})", date(2026, 11, 10)),
        ("cast(['a', 'b'] as {{ column_type(\"array<string>\") }})", ["a", "b"]),
    ],
    "whole_sum": [
        (
            "(select {{ whole_sum('n') }} from (select 2 as n union all select 3 union all select null) as numbers)",
            5,
        ),
        ("(select {{ whole_sum('n') }} from (select 2 as n) as numbers where n > 2)", None),
    ],
    "rounded_to_minor_unit": [
        ("{{ rounded_to_minor_unit('9.989999771118164', \"'EUR'\") }}", 9.99),
        ("{{ rounded_to_minor_unit('1200.4', \"'JPY'\") }}", 1200.0),
        ("{{ rounded_to_minor_unit('1.23449', \"'KWD'\") }}", 1.234),
        ("{{ rounded_to_minor_unit('2.5', no_text) }}", 2.5),
        ("{{ rounded_to_minor_unit('cast(null as ' ~ column_type('number') ~ ')', \"'EUR'\") }}", None),
    ],
    "eur_per_unit": [
        ("{{ eur_per_unit(\"'GBP'\") }}", 1.17),
        ("{{ eur_per_unit(\"'CHF'\") }}", None),
        ("{{ eur_per_unit(no_text) }}", None),
    ],
    "wilson_bound": [
        # 8 of 10 at 95 %: the standard example of Wilson's interval
        ("round({{ wilson_bound('8', '10', -1) }}, 6)", 0.490162),
        ("round({{ wilson_bound('8', '10', 1) }}, 6)", 0.943318),
        ("{{ wilson_bound('0', '0', 1) }}", None),
    ],
}


#: The emulator has no `safe.` functions: text that is no JSON is an error there.
NOT_EMULATED = {
    "{{ json_text(\"'no json'\", 'text') }}",
    "{{ json_text(\"''\", 'text') }}",
}


def dispatched() -> set[str]:
    text = (PROJECT_ROOT / "dbt_project" / "macros" / "dialects.sql").read_text(encoding="utf-8")
    return set(re.findall(r"adapter\.dispatch\(\"(\w+)\"\)", text))


def compiled(settings: Settings, cases: Cases) -> str:
    """One query with a column a case, as dbt writes it for the target of the settings."""
    settings.state_dir.mkdir(exist_ok=True)
    calls = [call for calls in cases.values() for call, _ in calls]
    columns = ",\n".join(f"{call} as case_{number}" for number, call in enumerate(calls))
    inline = (
        "{% set no_text = 'cast(null as ' ~ column_type('string') ~ ')' %}"
        f"select\n{columns}\nfrom (select {PROPERTIES} as properties) as given"
    )
    return dbt(settings, "--quiet", "compile", "--inline", inline)


def run(settings: Settings, sql: str) -> list[object]:
    with warehouse_of(settings).session() as session:
        [row] = session.fetch(sql)
    return [*row]


def by_call(row: Sequence[object], cases: Cases) -> dict[str, object]:
    calls = [call for calls in cases.values() for call, _ in calls]
    return {call: plain(value) for call, value in zip(calls, row, strict=True)}


def plain(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    # DuckDB reads 1.17 as an exact number
    return float(value) if isinstance(value, Decimal) else value


def expected(cases: Cases) -> dict[str, object]:
    return {call: value for calls in cases.values() for call, value in calls}


def test_every_dispatched_macro_has_cases() -> None:
    assert dispatched() - CASES.keys() == set()


@pytest.mark.full
def test_on_duckdb(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    assert by_call(run(settings, compiled(settings, CASES)), CASES) == expected(CASES)


@pytest.mark.full
def test_on_bigquery_as_its_language_is_defined_and_as_emulated(google_settings: Settings) -> None:
    sql = compiled(google_settings, CASES)
    judge = GoogleSqlJudge()
    assert len(judge.judge(sql)) == len(expected(CASES))
    assert by_call(judge.evaluate(sql), CASES) == expected(CASES)
    emulated = {
        macro: [case for case in cases if case[0] not in NOT_EMULATED] for macro, cases in CASES.items()
    }
    assert by_call(run(google_settings, compiled(google_settings, emulated)), emulated) == expected(emulated)
