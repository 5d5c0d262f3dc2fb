"""Partitions are counted from a statement's own predicates."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from benchmarks.partitions_read import Partitioning, Read, reads

LATEST = datetime(2026, 11, 30, tzinfo=timezone.utc)
TABLES = {
    "p.raw.opens": Partitioning("_hour", "day"),
    "p.marts.audit": Partitioning("delivered_day", "month"),
}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1 from `p`.`raw`.`opens`", None),
        ("select 1 from p.raw.opens where user_id = 'u'", None),
        ("select 1 from p.raw.opens where _hour <= timestamp '2026-11-10 05:00:00'", None),
        ("select 1 from p.raw.opens where _hour >= timestamp '2026-11-29 05:00:00'", 2),
        ("select 1 from p.raw.opens where _hour = timestamp '2026-11-10 05:00:00' and user_id = 'u'", 1),
        (
            "select 1 from p.raw.opens where (_hour between timestamp '2026-11-10 05:00:00' and "
            "timestamp '2026-11-11 00:00:00' or _hour between timestamp '2026-11-20 00:00:00' and "
            "timestamp '2026-11-20 23:00:00')",
            3,
        ),
        (
            "select 1 from p.raw.opens where _hour between timestamp '2026-11-10 05:00:00' and "
            "timestamp '2026-11-11 00:00:00' or user_id = 'u'",
            None,
        ),
        (
            "select 1 from p.raw.opens as o where o._hour >= timestamp_sub(timestamp '2026-11-30 00:00:00', "
            "interval 7 day)",
            8,
        ),
        ("select 1 from (select user_id from p.raw.opens where false) as nobody", 0),
        (
            "select 1 from p.raw.opens where cast(_hour as date) between date '2026-11-01' and date '2026-11-02'",
            2,
        ),
        (
            "select 1 from p.raw.opens where _hour >= (select max(_hour) from p.marts.audit)",
            None,
        ),
        ("with o as (select * from p.raw.opens) select 1 from o where _hour = timestamp '2026-11-10'", None),
    ],
)
def test_conditions_bound_what_is_read(sql: str, expected: int | None) -> None:
    assert Read("p.raw.opens", expected) in reads(sql, TABLES, latest=LATEST)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from (select user_id from p.raw.opens) as columns_only where false limit 0",
        "create or replace view p.marts.v as select user_id from p.raw.opens",
    ],
)
def test_views_and_questions_for_columns_read_nothing(sql: str) -> None:
    assert reads(sql, TABLES, latest=LATEST) == []


def test_statements_that_write_read_what_they_replace() -> None:
    script = """
        create table p.raw.opens (x int64);
        insert into p.raw.opens select * from p.marts.audit where delivered_day between date '2026-09-30' and
            date '2026-11-01';
        delete from p.raw.opens where _hour between timestamp '2026-11-10' and timestamp '2026-11-12';
        merge into p.marts.audit as kept using (select 1 as n) as new
            on kept.delivered_day >= date '2026-11-01' and kept.n = new.n
            when not matched then insert (n) values (n);
        drop table p.raw.opens;
    """
    assert reads(script, TABLES, latest=LATEST) == [
        Read("p.marts.audit", 3),
        Read("p.raw.opens", 3),
        Read("p.marts.audit", 1),
    ]
