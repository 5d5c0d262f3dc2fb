"""A sync waits for the tests of what it is computed from, and for no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest

from braze_platform.sync.asset_keys import attribute_key
from braze_platform.sync.assets import sync_assets
from braze_platform.sync.upstream_tests import gating_tests

FAILED = "test.braze_platform.is_key_stg_email_event_id.1a2b3c"


def send(room: Any) -> dg.ExecuteInProcessResult:
    tests = [FAILED, "test.braze_platform.b.2"]
    assets = sync_assets(room.sync, room.settings, upstream_tests=tests)
    return dg.materialize(
        [assets], selection=[attribute_key("score")], resources=room.resources, raise_on_error=False
    )


def test_nothing_is_sent_while_a_test_above_fails(room: Any, braze: Any) -> None:
    room.users(20)
    room.sql(
        "create schema marts_ledger",
        "create table marts_ledger.failed_tests (test varchar, model varchar, failures bigint, failed_at timestamp)",
        f"insert into marts_ledger.failed_tests values ('{FAILED}', 'stg_email', 3, now()), "
        "('test.braze_platform.of_something_else.3', 'stg_push', 1, now())",
        "select 1",
    )
    stopped = send(room)
    assert not stopped.success
    [failure] = [event for event in stopped.all_events if event.is_step_failure]
    assert "is_key_stg_email_event_id of stg_email (3 rows)" in str(
        failure.step_failure_data.user_failure_data
    )
    assert not braze.received
    room.sql("delete from marts_ledger.failed_tests where model = 'stg_email'", "select 1")
    assert send(room).success
    assert braze.received


def node(kind: str, name: str, *parents: str, **config: Any) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "alias": name,
        "fqn": ["braze_platform", "attributes", name],
        "depends_on": {"nodes": [f"model.{parent}" for parent in parents]},
        "config": config,
    }


def is_key(model: str, **config: Any) -> dict[str, Any]:
    return {**node("test", f"key_of_{model}", model, "leaf", **config), "attached_node": f"model.{model}"}


@pytest.fixture
def manifest() -> Mapping[str, Any]:
    models = [
        node("model", "email"),
        node("model", "push"),
        node("model", "seen", "email", "push", meta={"counts_events": False}),
        node("model", "orders", "seen"),
        node("model", "braze_emails", "email", "seen"),
        node("model", "braze_customers", "orders"),
        node("model", "audit", "email"),
    ]
    tests = {
        **{f"key_of_{name}": is_key(name) for name in ("email", "push", "seen", "orders", "audit")},
        "only_a_warning": is_key("orders", severity="warn"),
        "money": is_key("orders", meta={"blocks_sending": False}),
        "one_workspace": is_key("audit", meta={"blocks_sending": "all"}),
    }
    return {"nodes": {f"model.{one['alias']}": one for one in models} | tests}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("braze_emails", {"key_of_email", "key_of_seen", "one_workspace"}),
        ("braze_customers", {"key_of_orders", "key_of_seen", "one_workspace"}),
    ],
)
def test_a_sync_waits_for_the_gating_tests_it(
    room: Any, manifest: Mapping[str, Any], model: str, expected: set[str]
) -> None:
    room.declare(name=model, table=model)
    assert gating_tests(room.sync, manifest) == expected
