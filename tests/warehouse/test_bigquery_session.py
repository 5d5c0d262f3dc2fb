"""BigQuery as a warehouse: what goes in as a literal comes out, transactions are whole, staging is cleaned up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import pyarrow as pa
import pytest
from google_emulators import GoogleEmulators
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from braze_platform.settings import Settings
from braze_platform.warehouse.bigquery import STAGING, BigQuerySession
from braze_platform.warehouse.bigquery_values import literal, rendered
from braze_platform.warehouse.interface import RelationGone, StatementFailed, WarehouseError
from braze_platform.warehouse.targets import warehouse_of

AT = datetime(2026, 11, 10, 5, 6, 7, 891011)
_VALUES = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
    st.sampled_from(["'", "\\", "\\'", "\n", "\r\n", "$a", '"', "`", "--", "/*", ";", "'; drop table t; --"]),
    st.integers(-(2**62), 2**62),
    st.booleans(),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 1, 1)),
    st.dates(date(1, 1, 1), date(9999, 1, 1)),
    st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
)


@pytest.fixture(scope="module")
def session(
    emulators: GoogleEmulators, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BigQuerySession]:
    settings = emulators.settings(tmp_path_factory.mktemp("state"))
    with warehouse_of(settings).session() as session:
        assert isinstance(session, BigQuerySession)
        session.create_schema("things", "Tests")
        yield session
    emulators.forget(settings)


def table(session: BigQuerySession, name: str) -> str:
    return session.sql.table("things", name)


@given(values=st.lists(_VALUES, min_size=1, max_size=8))
@hypothesis_settings(max_examples=40, deadline=None)
def test_any_value_comes_back_as_it_went_in(session: BigQuerySession, values: list[object]) -> None:
    names = [f"v{i}" for i in range(len(values))]
    query = f"select {', '.join(f'${name}' for name in names)}"
    [row] = session.fetch(query, dict(zip(names, values, strict=True)))
    assert list(row) == values


def test_parameters_inside_quotes_are_text() -> None:
    sql = "select $a, '$a', `$a`, \"$a\", 'it\\'s $a' from t where x in unnest($b)"
    assert rendered(sql, {"a": 1, "b": ["x"]}) == (
        "select 1, '$a', `$a`, \"$a\", 'it\\'s $a' from t where x in unnest(['x'])"
    )
    with pytest.raises(KeyError):
        rendered("select $missing", {})
    with pytest.raises(ValueError, match="no type"):
        literal([])


def test_a_transaction_takes_effect_whole_or_not_at_all(session: BigQuerySession) -> None:
    session.execute(f"create table {table(session, 'whole')} (x int64)")

    def interrupted() -> None:
        with session.transaction():
            session.execute(f"insert into {table(session, 'whole')} values (1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    def failing() -> None:
        with session.transaction():
            session.execute(f"insert into {table(session, 'whole')} values (2)")
            session.execute(f"insert into {table(session, 'whole')} select cast('no number' as int64)")

    with pytest.raises(StatementFailed):
        failing()
    assert session.fetch(f"select * from {table(session, 'whole')}") == []
    with session.transaction():
        session.execute(f"insert into {table(session, 'whole')} values (3)")
    assert session.fetch(f"select * from {table(session, 'whole')}") == [(3,)]
    with (
        pytest.raises(WarehouseError, match="inside a transaction"),
        session.transaction(),
        session.transaction(),
    ):
        pass


@pytest.mark.parametrize("rows", [3, 700])
def test_rows_attached_inside_a_transaction_are_there_when_it_ends(
    session: BigQuerySession, rows: int
) -> None:
    session.create_schema("attaching", "Test.")
    table = session.sql.table("attaching", f"numbers_{rows}")
    session.execute(f"create table {table} (n bigint)")
    before = session.staging_tables("attached_")
    with session.transaction():
        with session.attached("numbers", pa.table({"n": list(range(rows))})) as numbers:
            session.execute(f"insert into {table} select n from {numbers} as numbers")
        assert session.fetch(f"select count(*) from {table}") == [(0,)]
    assert session.fetch(f"select count(*), sum(n) from {table}") == [(rows, sum(range(rows)))]
    assert session.staging_tables("attached_") == before


def test_an_error_names_no_value(session: BigQuerySession) -> None:
    with pytest.raises(RelationGone) as raised:
        session.fetch(f"select $secret from {table(session, 'nowhere')}", {"secret": "person@example.com"})
    assert "person@example.com" not in str(raised.value)


@pytest.mark.parametrize("rows", [0, 3, 4000], ids=["none", "inline", "staged"])
def test_arrow_goes_in_and_comes_out(session: BigQuerySession, rows: int) -> None:
    data = pa.table(
        {
            "n": pa.array(range(rows), pa.int64()),
            "text": pa.array([f"it's {n}" if n % 2 else None for n in range(rows)], pa.string()),
            "moment": pa.array([AT] * rows, pa.timestamp("us")),
            "yes": pa.array([True] * rows, pa.bool_()),
        }
    )
    name = table(session, f"arrow_{rows}")
    session.execute(f"create table {name} (n int64, text string, moment timestamp, yes bool)")
    with session.attached("_some", data) as relation, session.transaction():
        session.execute(f"insert into {name} select attached.* from {relation} as attached")
    batches = list(session.fetch_batches(f"select * from {name} order by n", rows=1500))
    assert all(batch.num_rows <= 1500 for batch in batches)
    assert [row for batch in batches for row in batch.to_pylist()] == data.to_pylist()
    assert [t.table_id for t in session.client.list_tables(session.dataset_id(STAGING))] == [] or rows < 4000


def test_columns_are_named_as_ddl_writes_them(session: BigQuerySession) -> None:
    session.execute(
        f"create table {table(session, 'typed')} (s string, n int64, f float64, b bool, a array<string>, t timestamp)"
    )
    session.execute(f"alter table {table(session, 'typed')} add column later bytes")
    assert session.columns("things", "typed") == {
        "s": "STRING",
        "n": "INT64",
        "f": "FLOAT64",
        "b": "BOOL",
        "a": "ARRAY<STRING>",
        "t": "TIMESTAMP",
        "later": "BYTES",
    }
    assert session.columns("things", "nothing") == {}


def test_datasets_have_the_location_the_labels_and_the_prefix(
    emulators: GoogleEmulators, google_settings: Settings
) -> None:
    with warehouse_of(google_settings.replace(bigquery_location="europe-west3")).session() as session:
        session.create_schema("things", "What they are")
        session.create_schema("things", "Again")
    made = emulators.bigquery().get_dataset(f"{google_settings.bigquery_dataset_prefix}things")
    assert (made.location, made.labels, made.description) == (
        "europe-west3",
        {"team": "data"},
        "What they are",
    )
