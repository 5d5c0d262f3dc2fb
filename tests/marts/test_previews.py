"""Charts and samples on the marts' materialisations."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from datetime import datetime
from typing import Any

import dagster as dg
import pytest

from braze_platform.marts.charts import Interval, as_markdown_image, funnel_chart, interval_chart, trend_chart
from braze_platform.marts.previews import ChartDeclarationError, check_chart, sample_table


def texts(svg: str) -> list[str]:
    """What a chart says; fails when it is not a well-formed SVG."""
    return [
        element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    ]


def test_an_interval_chart_tells_the_sure_from_the_unsure() -> None:
    svg = interval_chart(
        [
            Interval("Win-back <b>", 0.05, 0.01, 0.09),
            Interval("Toys", -0.01, -0.04, 0.02),
            Interval("No control", None, None, None),
        ],
        "Lift",
    )
    assert texts(svg) == ["Lift", "Win-back <b>", "+0.050", "Toys", "-0.010", "No control", "no value"]
    bars = re.findall(r'<line [^>]*stroke="(#\w+)" stroke-width="3"', svg)
    assert len(set(bars)) == 2


def test_a_funnel_shows_shares_of_the_step_before() -> None:
    assert texts(funnel_chart({"sends": 200.0, "opens": 50.0, "clicks": 0.0}, "Funnel"))[1:] == [
        "sends",
        "200",
        "opens",
        "50  (25.0% of the step before)",
        "clicks",
        "0  (0.0% of the step before)",
    ]
    assert texts(funnel_chart({"sends": 0.0, "opens": 0.0}, "Empty"))[1:] == ["sends", "0", "opens", "0"]


def test_a_trend_begins_and_ends_with_its_days() -> None:
    said = texts(trend_chart(["2026-11-01", "2026-11-02"], {"sends": [10.0, 20.0]}, "Days"))
    assert {"2026-11-01", "2026-11-02", "20", "10", "0", "— sends"} <= set(said)
    assert texts(trend_chart([], {"sends": []}, "No days"))[0] == "No days"


def test_an_image_in_markdown_is_the_chart() -> None:
    found = re.fullmatch(r"!\[T\]\(data:image/svg\+xml;base64,([\w+/=]+)\)", as_markdown_image("<svg/>", "T"))
    assert found and base64.b64decode(found[1]) == b"<svg/>"


def node(more: dict[str, Any] | None = None, **chart: Any) -> dict[str, Any]:
    columns = {"day": {}, "campaign_name": {}, "sends": {}, **(more or {})}
    return {
        "name": "a_mart",
        "original_file_path": "models/marts/a.sql",
        "relation_name": "marts.a_mart",
        "columns": {name: {"name": name, "config": {"meta": meta}} for name, meta in columns.items()},
        "config": {"meta": {"chart": chart} if chart else {}},
    }


def test_a_sample_is_a_table() -> None:
    shown = sample_table(node(), lambda _: [("2026-11-01", "a | b", None)], None)
    assert shown.splitlines() == [
        "| day | campaign_name | sends |",
        "| --- | --- | --- |",
        "| 2026-11-01 | a \\| b |  |",
    ]


@pytest.mark.parametrize("column", [{"user_key": {}}, {"external_id": {}}, {"age": {"personal": True}}])
def test_rows_of_people_are_not_shown(column: dict[str, Any]) -> None:
    def fetch(sql: str) -> list[tuple[Any, ...]]:
        raise AssertionError(sql)

    [name] = column
    assert f"a person ({name})" in sample_table(node(column), fetch, None)


@pytest.mark.parametrize(
    ("rebuild", "condition"),
    [
        ({}, ""),
        ({"column": "delivered_hour"}, " where delivered_hour >= timestamp '2026-11-03 05:00:00'"),
        ({"column": "day", "kind": "date"}, " where day >= date '2026-11-03'"),
        ({"snapshot": "day", "keep_days": 400}, " where day >= date '2026-11-03'"),
    ],
    ids=["table", "hours", "days", "snapshots"],
)
def test_samples_read_the_last_days_alone(rebuild: dict[str, Any], condition: str) -> None:
    asked: list[str] = []

    def fetch(sql: str) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return []

    of_hours = node()
    of_hours["config"]["meta"]["rebuild"] = rebuild
    shown = sample_table(of_hours, fetch, datetime(2026, 11, 10, 5))
    assert shown == ("no rows of the last 7 days" if condition else "no rows")
    assert f"from marts.a_mart{condition} order by" in asked[0]


def test_a_view_that_can_only_be_computed_as_a_whole_shows_no_sample() -> None:
    def fetch(sql: str) -> list[tuple[Any, ...]]:
        raise AssertionError(sql)

    follows = node()
    follows["config"]["meta"]["rebuild"] = {"follows": True}
    assert sample_table(follows, fetch, datetime(2026, 11, 10, 5)).startswith("Not shown")


@pytest.mark.parametrize(
    ("chart", "said"),
    [
        ({"kind": "pie", "title": "t"}, "kind is interval, funnel or trend, not 'pie'"),
        ({"kind": "funnel", "steps": ["sends"]}, "needs 'title'"),
        ({"kind": "funnel", "title": "t"}, "needs 'steps'"),
        ({"kind": "trend", "title": "t", "day": "day", "series": ["sendz"]}, "no column 'sendz'"),
    ],
    ids=["kind", "title", "steps", "column"],
)
def test_a_wrong_declaration_names_model_key_and_remedy(chart: dict[str, Any], said: str) -> None:
    with pytest.raises(ChartDeclarationError, match=r"models/marts/a.sql, model a_mart") as raised:
        check_chart(node(**chart))
    assert said in str(raised.value)


def test_right_declarations_pass() -> None:
    check_chart(node())
    check_chart(node(kind="trend", title="t", day="day", series=["sends"]))
    check_chart(node(kind="funnel", title="t", steps=["sends"]))


def test_marts_that_were_built_show_them(build: Any) -> None:
    metadata = build.materialization("marts", "mart_campaign_performance").metadata
    assert isinstance(metadata["chart"], dg.MarkdownMetadataValue)
    svg = base64.b64decode(str(metadata["chart"].value).partition("base64,")[2].rstrip(")")).decode()
    assert "Spring sale" in texts(svg)
    assert "Spring sale" in str(metadata["sample"].value)
    daily = build.materialization("marts", "fct_messages_daily").metadata
    assert "sample" in daily and "chart" in daily and daily["hours"].value == "all"
    assert "sample" not in build.materialization("intermediate", "int_message_events").metadata
