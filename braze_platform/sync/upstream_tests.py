"""Which dbt tests a sync waits for: a value is not sent while a test fails that says it may be wrong.

A failing test stops no model. It stops the syncs whose values are computed from the model that it tests: one above
the sync's model on dbt's graph. Above a model with `meta: {counts_events: false}` nobody looks: what it says does not
depend on how often an event is counted. A test with `meta: {blocks_sending: false}` stops no sync, because the model
itself keeps what is not known from being sent; one with `blocks_sending: all` stops every sync.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from braze_platform.sync.declaration.sync import Sync
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import FAILED_TESTS


def gating_tests(sync: Sync, manifest: Mapping[str, Any]) -> frozenset[str]:
    """The unique ids of the tests that stop a sync when they fail."""
    nodes: Mapping[str, Mapping[str, Any]] = manifest["nodes"]
    models = _models_above(sync, nodes)
    found = set()
    for unique_id, node in nodes.items():
        if node["resource_type"] != "test" or str(node["config"].get("severity", "error")).lower() != "error":
            continue
        blocks = node["config"].get("meta", {}).get("blocks_sending", True)
        # A generic test is of one model, whatever else it reads (`relationships`); a singular one of all it reads.
        tested = {node["attached_node"]} if node.get("attached_node") else set(node["depends_on"]["nodes"])
        if blocks == "all" or (blocks and tested & models):
            found.add(unique_id)
    return frozenset(found)


def _models_above(sync: Sync, nodes: Mapping[str, Mapping[str, Any]]) -> set[str]:
    to_visit = [
        unique_id
        for unique_id, node in nodes.items()
        if node["resource_type"] == "model" and node["alias"] == sync.table and node["fqn"][1] == sync.folder
    ]
    found: set[str] = set()
    while to_visit:
        unique_id = to_visit.pop()
        if unique_id in found or nodes.get(unique_id, {}).get("resource_type") != "model":
            continue
        found.add(unique_id)
        if nodes[unique_id]["config"].get("meta", {}).get("counts_events", True):
            to_visit.extend(nodes[unique_id]["depends_on"]["nodes"])
    return found


def failed_tests(session: Session, tests: Collection[str]) -> list[str]:
    """Those of some tests that fail now, each with how many rows it found, as texts in order."""
    if not tests or not FAILED_TESTS.exists(session):
        return []
    return [
        f"{test.split('.')[2]} of {model} ({failures:,} rows)"
        for test, model, failures in session.fetch(
            f"select test, model, failures from {FAILED_TESTS.ref(session.sql)} "
            f"where {session.sql.among('test', 'tests')} order by model, test",
            {"tests": sorted(tests)},
        )
    ]
