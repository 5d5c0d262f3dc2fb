"""What dbt's tests said: which fail now, kept in the warehouse for those who must not act on wrong numbers.

A failing test stops no model (see `dbt_project/macros/get_where_subquery.sql`). It stops the sending of what is
computed from the model that it tests: syncs read `marts_ledger.failed_tests` before they send.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braze_platform.markdown import table
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import FAILED_TESTS
from braze_platform.warehouse.tables import ensure, now_utc

#: Rows of a failing test that are shown with it.
_ROWS_SHOWN = 20


@dataclass(frozen=True)
class TestResult:
    """A test that dbt ran: `model` is the one it is a check of, `sql` finds the rows that should not be."""

    __test__ = False

    unique_id: str
    model: str
    status: str
    failures: int
    sql: str

    @property
    def has_failed(self) -> bool:
        """Whether it failed as an error, or could not be run."""
        return self.status in ("fail", "error", "runtime error")


def read_results(target_path: Path) -> list[Mapping[str, Any]]:
    """The results of all nodes of a dbt run; none when it ended before it wrote them."""
    path = target_path / "run_results.json"
    if not path.is_file():
        return []
    found: list[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return found


def test_results(results: Collection[Mapping[str, Any]], manifest: Mapping[str, Any]) -> list[TestResult]:
    """The tests among the results that dbt ran; a test that was skipped says nothing."""
    nodes = manifest["nodes"]
    found = []
    for result in results:
        node = nodes.get(result["unique_id"])
        if node is None or node["resource_type"] != "test" or result["status"] == "skipped":
            continue
        tested = nodes.get(node.get("attached_node") or "") or nodes.get(_only_parent(node) or "") or node
        found.append(
            TestResult(
                result["unique_id"],
                str(tested["alias"]),
                str(result["status"]),
                int(result["failures"] or 0),
                str(result.get("compiled_code") or ""),
            )
        )
    return found


def _only_parent(node: Mapping[str, Any]) -> str | None:
    parents = [parent for parent in node["depends_on"]["nodes"] if parent.startswith("model.")]
    return parents[0] if len(parents) == 1 else None


def only_tests_failed(results: Collection[Mapping[str, Any]]) -> bool:
    """Whether every model of a dbt run was built, and a test failed."""
    bad = [result for result in results if result["status"] not in ("success", "pass", "warn", "no-op")]
    return bool(bad) and all(str(result["unique_id"]).startswith("test.") for result in bad)


def record_tests(session: Session, results: Sequence[TestResult]) -> None:
    """Note which of these tests fail now; tests that did not run stay as they are."""
    ensure(session, FAILED_TESTS)
    if not results:
        return
    now = now_utc()
    with session.transaction():
        session.execute(
            f"delete from {FAILED_TESTS.ref(session.sql)} where {session.sql.among('test', 'tests')}",
            {"tests": [one.unique_id for one in results]},
        )
        failed = [(one.unique_id, one.model, one.failures, now) for one in results if one.has_failed]
        FAILED_TESTS.append(session, failed)


def models_with_failed_tests(session: Session) -> set[str]:
    """The models whose tests look at all rows until they pass: what failed may lie outside of the hours of a build."""
    ensure(session, FAILED_TESTS)
    return {
        str(model)
        for (model,) in session.fetch(f"select distinct model from {FAILED_TESTS.ref(session.sql)}")
    }


def rows_found(session: Session, result: TestResult) -> str:
    """The first rows that a test found, as a Markdown table. For tests whose rows hold nothing personal."""
    [batch, *_] = [
        *session.fetch_batches(f"select * from (\n{result.sql}\n) as found limit {_ROWS_SHOWN}")
    ] or [None]
    if batch is None:
        return ""
    names = batch.schema.names
    return table(names, [[row[name] for name in names] for row in batch.to_pylist()])
