"""The script that replaces hours in BigQuery: as long as a query may be, whatever the layouts of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from braze_platform.warehouse.bigquery_raw_tables import BigQueryRawTables, LoadedFiles, schema_field
from braze_platform.warehouse.bigquery_values import rendered
from braze_platform.warehouse.dataset_names import DatasetNames
from braze_platform.warehouse.raw_tables import FileGroup, Placement, SourceFile
from braze_platform.warehouse.sql import BigQuerySql
from braze_platform.warehouse.tables import Column

#: Of a query's text (https://cloud.google.com/bigquery/quotas#query_jobs).
LONGEST = 1_000_000
FIELDS = [f"a_field_with_quite_a_long_name_{number}" for number in range(60)]


class Statements:
    """Takes what a session would run."""

    sql = BigQuerySql(DatasetNames("an_installation_s_prefix_"))

    def __init__(self) -> None:
        self.taken: list[str] = []

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        self.taken.append(rendered(sql, parameters))


def files(count: int, middle: str = "version=12/us-01") -> tuple[SourceFile, ...]:
    connector = "dataexport.prod-01.GCS.integration.64f0a1b2c3d4e5f607182930"
    first = datetime(2026, 11, 1)
    made = []
    for number in range(count):
        hour = first + timedelta(hours=number % 700)
        key = (
            f"a/folder/of/the/company/{connector}/event_type=users.messages.pushnotification.IosForeground/"
            f"date={hour:%Y-%m-%d-%H}/{middle}/{connector}+12+{1_234_567 + number}.avro"
        )
        made.append(
            SourceFile(key, f"gs://a-bucket-of-the-company/{key}", hour, "12", None, "1790000000000000")
        )
    return tuple(made)


def replaced(*of_files: SourceFile) -> list[str]:
    schema = {"type": "record", "name": "x", "fields": [{"name": name, "type": "string"} for name in FIELDS]}
    placements = tuple(Placement(name, "VARCHAR", name, "cast") for name in FIELDS)
    statements = Statements()
    LoadedFiles(
        statements,  # type: ignore[arg-type]
        "users_messages_pushnotification_ios_foreground",
        [FileGroup(of_files, placements, json.dumps(schema))],
        {},
    ).replace(
        "users.messages.pushnotification.IosForeground",
        sorted({file.hour for file in of_files}),
        datetime(2026, 11, 24),
    )
    return statements.taken


def test_as_many_files_as_a_transaction_takes_fit_into_one_script() -> None:
    # The ledger's statements come beside it: three lists of hours, the rows themselves from a staging table.
    assert sum(map(len, replaced(*files(BigQueryRawTables.files_at_once)))) < LONGEST - 200_000


def test_files_of_both_layouts_are_not_put_under_one_another() -> None:
    delete, *inserts = replaced(*files(3), *files(2, "1523/us-01"))
    assert delete.startswith("delete")
    assert [insert.count("as _staged_file, *") for insert in inserts] == [3, 2]


def test_personal_columns_get_the_policy_tag() -> None:
    tag = "projects/p/locations/eu/taxonomies/1/policyTags/2"
    person = schema_field(Column("user_id", "VARCHAR", "Who.", personal=True), "STRING", tag)
    urls = schema_field(Column("urls", "VARCHAR[]", "Which.", personal=True), "ARRAY<STRING>", tag)
    assert [list(field.policy_tags.names) for field in (person, urls) if field.policy_tags] == [[tag], [tag]]
    assert not schema_field(Column("id", "VARCHAR", "Event."), "STRING", tag).policy_tags
    assert not schema_field(Column("user_id", "VARCHAR", "Who.", personal=True), "STRING").policy_tags
