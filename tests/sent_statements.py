"""Judges what BigQuery was sent in any test: each kind of statement, by GoogleSQL's analyser, when the run ends.

The emulators of all workers write down what they ran (`emulators/statement_log.py`). An emulator over another database
accepts what BigQuery refuses; here such a statement fails the run.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google_emulators import INSTALLATION_LOG, STATEMENT_LOG
from googlesql import GoogleSqlJudge, Rejected, statements_of

WHAT_TO_DO = """\
BigQuery refuses the statements below, which the emulator ran. To mend one, look for its words in braze_platform (or,
where a test wrote it, in the test that is named). Usual reasons: a reserved word as a name (quote names by
`session.sql.quoted`, rename aliases), DuckDB's functions or types (the difference belongs in warehouse/sql.py), a cast
that GoogleSQL does not have (arrays and JSON cast to nothing)."""

_PREFIX = re.compile(r"\b(t[0-9a-f]{10}_)")
_MADE = re.compile(r"create (?:or replace )?(?:table|view)(?: if not exists)? ((?:`[^`]+`\.)+`[^`]+`)", re.I)
_SCALARS = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


@dataclass(frozen=True)
class Refused:
    """A statement that BigQuery does not take: why, and the first test in which an installation sent it."""

    sql: str
    reason: str
    test: str

    def __str__(self) -> str:
        return f"{self.test}\n    {self.reason}\n    in: {' '.join(self.sql.split())[:1500]}"


@dataclass(frozen=True)
class _Sent:
    sql: str
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    test: str


def refused_statements(base: Path) -> tuple[list[Refused], int]:
    """What BigQuery refuses of all that emulators under a folder of pytest's wrote down, and how much was judged."""
    sent = list(_sent(base))
    if len(sent) > 20:
        # a twentieth of a second each; a process of its own takes two seconds to begin
        with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(_refused, sent, chunksize=8))
    else:
        found = list(map(_refused, sent))
    refused: dict[tuple[str, str], Refused] = {}
    for one in itertools.chain.from_iterable(found):
        words = re.sub(r"\W\w*\d\w*|'[^']*'", " ", one.sql)
        refused.setdefault((one.reason.rpartition("\n")[2], words), one)
    return list(refused.values()), len(sent)


def _refused(sent: _Sent) -> list[Refused]:
    # Of its own: a name may stand for another table in the next statement.
    judge = GoogleSqlJudge(
        {f"`{name.replace('.', '`.`')}`": _columns(fields) for name, fields in sent.tables.items()}
    )
    refused = []
    for sql in statements_of(sent.sql):
        try:
            columns = judge.judge(sql, judge.tables)
        except Rejected as rejection:
            refused.append(Refused(sql, str(rejection), sent.test))
            continue
        made = _MADE.match(sql)
        if made and columns:
            judge.tables[made[1]] = columns
    return refused


def _sent(base: Path) -> Iterator[_Sent]:
    known: set[str] = set()
    # The folders of a run without workers, and of workers.
    for log in sorted(
        [*base.glob(f"emulators*/{STATEMENT_LOG}"), *base.glob(f"*/emulators*/{STATEMENT_LOG}")]
    ):
        tests = {line["prefix"]: line["test"] for line in _lines(log.with_name(INSTALLATION_LOG))}
        for line in _lines(log):
            if line["kind"] in known:
                continue
            known.add(line["kind"])
            prefix = _PREFIX.search(line["sql"])
            yield _Sent(
                line["sql"], line["tables"], tests.get(prefix[1], "") if prefix else "(of no installation)"
            )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def _columns(fields: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {field["name"]: _type(field) for field in fields}


def _type(field: Mapping[str, Any]) -> str:
    """GoogleSQL's name of a field as BigQuery's REST interface describes it."""
    kind = field["type"]
    if kind == "RECORD":
        kind = f"STRUCT<{', '.join(f'{name} {inner}' for name, inner in _columns(field['fields']).items())}>"
    kind = _SCALARS.get(kind, kind)
    return f"ARRAY<{kind}>" if field["mode"] == "REPEATED" else kind
