"""A sync whose warehouse was lost and came back from a backup: nothing is sent before a person has looked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sandbox_room

from braze_platform.backup.making import make_backup
from braze_platform.backup.restoring import restore
from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.sync.ledger.store import held_store
from braze_platform.sync.seeding.rebuild import rebuild


def model(room: Any, score: str) -> None:
    room.model(f"select 'x' || i as external_id, {score} as score, i as visits from range(20) t(i)")


@pytest.mark.parametrize("way", ["approve", "rebuild"])
def test_an_old_ledger_is_looked_at_before_anything_is_sent(tmp_path: Path, way: str) -> None:
    """Braze got newer values after the backup; the model went back to what the backup has, but for one user."""
    with sandbox_room.serve(tmp_path, 20) as room:
        room.declare(
            attributes=(
                AttributeSpec("score", "integer"),
                AttributeSpec("visits", "integer", "skip", operator="inc"),
            ),
            existing_only=False,
            limits=PlanLimits(max_first_users=10_000),
        )
        model(room, "i")
        assert room.run().report.complete
        made = make_backup(room.settings)
        model(room, "i + 100")
        assert room.run().report.complete
        room.settings.duckdb_path.unlink()
        assert restore(room.settings).held_syncs == [room.sync.name]
        model(room, "case when i = 3 then 7 else i end")
        for _ in range(2):
            run = room.run()
            [reason] = run.plan.limit_violations
            assert run.report is None and made.manifest.made_at_text in reason
        assert scores(room) == {f"x{i}": i + 100 for i in range(20)}
        if way == "approve":
            assert room.run(approved_plan=room.run().plan.plan_id).report.complete
            assert scores(room) == {f"x{i}": 7 if i == 3 else i + 100 for i in range(20)}
        else:
            with room.warehouse.session() as session:
                rebuild(session, room.sync, room.settings, max_users=100, restart=True)
            assert room.run().report.complete
            assert scores(room) == {f"x{i}": 7 if i == 3 else i for i in range(20)}
        assert room.run().plan.limit_violations == []


def test_an_approval_of_before_the_loss_sends_nothing(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits(max_objects=1))
    room.users(3)
    run = room.run()
    with (
        room.warehouse.session() as session,
        held_store(session, room.sync, "a test", wait_seconds=0) as store,
    ):
        store.approve(run.plan.plan_id)
    make_backup(room.settings)
    room.settings.duckdb_path.unlink()
    restore(room.settings)
    room.users(3)
    again = room.run()
    assert again.plan.plan_id == run.plan.plan_id and again.report is None
    assert braze.received == []


def scores(room: Any) -> dict[str, int]:
    return {user: held["score"] for user, held in room.profiles([f"x{i}" for i in range(20)]).items()}
