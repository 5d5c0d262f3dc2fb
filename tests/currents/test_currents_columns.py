"""Where fields go: by name, widened without loss, never dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from braze_platform.currents.avro_files import AvroField
from braze_platform.currents.columns import map_columns

TABLE = {"id": "VARCHAR", "time": "BIGINT", "price": "DOUBLE", "flag": "BOOLEAN", "urls": "VARCHAR[]"}


def placed(*fields: tuple[str, str]) -> dict[str, str]:
    mapping = map_columns(TABLE, [AvroField(name, kind, True) for name, kind in fields])
    return {placement.field: f"{placement.column} {placement.type}" for placement in mapping.placements}


def test_matches_by_name_and_widens() -> None:
    assert placed(("price", "int"), ("time", "int"), ("ID", "string"), ("flag", "boolean")) == {
        "price": "price DOUBLE",
        "time": "time BIGINT",
        "ID": "id VARCHAR",
        "flag": "flag BOOLEAN",
    }


def test_what_does_not_fit_goes_beside() -> None:
    assert placed(("time", "string"), ("price", "long"), ("flag", "string"), ("id", "array<string>")) == {
        "time": "time__string VARCHAR",
        "price": "price__long BIGINT",
        "flag": "flag__string VARCHAR",
        "id": "id__strings VARCHAR[]",
    }


def test_new_fields_become_columns_and_provenance_is_not_overwritten() -> None:
    mapping = map_columns(TABLE, [AvroField("novel", "float", True), AvroField("_hour", "string", True)])
    assert mapping.new_columns == {"novel": "DOUBLE", "_hour__field": "VARCHAR"}
    assert (
        map_columns({**TABLE, **mapping.new_columns}, [AvroField("novel", "float", True)]).new_columns == {}
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*TABLE, "a", "b", "_file", "time__string"]),
            st.sampled_from(
                ["string", "int", "long", "float", "boolean", "array<string>", "json", "bytes", "text"]
            ),
        ),
        unique_by=lambda field: field[0],
    )
)
def test_no_field_is_lost_and_no_column_is_taken_twice(fields: list[tuple[str, str]]) -> None:
    mapping = map_columns(TABLE, [AvroField(name, kind, True) for name, kind in fields])
    assert [placement.field for placement in mapping.placements] == [name for name, _ in fields]
    assert len({placement.column.lower() for placement in mapping.placements}) == len(fields)
    columns = {**TABLE, **mapping.new_columns}
    assert all(columns[placement.column] == placement.type for placement in mapping.placements)
