"""Numbers in JSON text that no double says exactly: BigQuery refuses the whole text for them unless asked to round."""

from __future__ import annotations

import json
import random
import struct

from googlesql import GoogleSqlJudge

from braze_platform.warehouse.sql import BigQuerySql


def doubles(count: int) -> list[float]:
    """Doubles of all magnitudes, and what clocks and prices make of them."""
    draw = random.Random(11)
    found = [1686725407.683936, 0.1 + 0.2, 1e-7, 5e-324, 1.7976931348623157e308, 9.989999771118164]
    while len(found) < count:
        (number,) = struct.unpack("<d", draw.randbytes(8))
        if number == number and abs(number) != float("inf"):
            found += [number, draw.uniform(1.6e9, 1.8e9), round(draw.uniform(0, 500), 2) * 3]
    return found


def test_no_double_costs_its_text_a_field() -> None:
    sql = BigQuerySql()
    texts = [json.dumps({"order_id": "A1", "at": number}) for number in doubles(120)]
    texts += [
        '{"order_id": "A1", "at": 12345678901234.123456789}',
        '{"order_id": "A1", "at": 12345678901234567890123}',
    ]
    parsed = [f"json_value({sql.parse_json(sql.literal(text))}, '$.order_id')" for text in texts]
    names = [f"c{i}" for i in range(len(texts))]
    columns = ", ".join(f"{value} as {name}" for value, name in zip(parsed, names, strict=True))
    assert GoogleSqlJudge().evaluate(f"select {columns}") == ["A1"] * len(texts)
