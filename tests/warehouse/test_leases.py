"""A lease belongs to one holder at a time, on two connections of one DuckDB database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from braze_platform.warehouse import leases
from braze_platform.warehouse.duckdb import DuckDBSession
from braze_platform.warehouse.leases import LIFETIME, LeaseHeld, LeaseLost, hold_lease, holder_of

#: Nothing here goes by the real time.
pytestmark = pytest.mark.usefixtures("lease_clock")


@pytest.fixture
def sessions() -> Iterator[tuple[DuckDBSession, DuckDBSession]]:
    with duckdb.connect() as connection:
        connection.execute("create table written (n bigint)")
        yield DuckDBSession(connection.cursor()), DuckDBSession(connection.cursor())


Sessions = tuple[DuckDBSession, DuckDBSession]


def test_one_holder_at_a_time_and_the_other_is_told_who(sessions: Sessions) -> None:
    one, other = sessions
    with hold_lease(one, "pets", "the run 1", wait_seconds=0):
        told = pytest.raises(LeaseHeld, match=r"sync pets .* the run 1 on .* since 2026-11-01 08:00:00 until")
        with told, hold_lease(other, "pets", "the run 2", wait_seconds=0):
            pytest.fail("two holders")
        with hold_lease(other, "pets_2", "the run 2", wait_seconds=0) as leased:
            leased.execute("insert into written values (2)")
    assert holder_of(other, "pets") is None
    with hold_lease(other, "pets", "the run 2", wait_seconds=0):
        assert "the run 2" in str(holder_of(one, "pets"))


@pytest.mark.parametrize("in_transaction", [True, False])
def test_who_lost_the_lease_writes_nothing(
    sessions: Sessions, lease_clock: Any, in_transaction: bool
) -> None:
    one, other = sessions
    with hold_lease(one, "pets", "the run 1", wait_seconds=0) as first:
        first.execute("insert into written values (1)")
        lease_clock.move(LIFETIME)
        with hold_lease(other, "pets", "the run 2", wait_seconds=0) as second:
            together = first.transaction() if in_transaction else nullcontext()
            told = pytest.raises(LeaseLost, match="pets expired while the run 1 held it, and the run 2")
            with told, together:
                first.execute("insert into written values (3)")
            with pytest.raises(LeaseLost):
                first.execute("alter table written add column m bigint")
            second.execute("insert into written values (2)")
    assert one.fetch("select n from written order by n") == [(1,), (2,)]


def test_a_lease_is_renewed_by_writing_and_by_keeping_it(sessions: Sessions, lease_clock: Any) -> None:
    one, other = sessions
    with hold_lease(one, "pets", "the run 1", wait_seconds=0) as leased:
        for renew in (leased.keep, lambda: leased.execute("insert into written values (1)")):
            lease_clock.move(LIFETIME - leases.MARGIN + timedelta(seconds=1))
            assert leased.is_ending()
            renew()
            assert not leased.is_ending()
        lease_clock.move(LIFETIME - timedelta(seconds=1))
        with pytest.raises(LeaseHeld), hold_lease(other, "pets", "the run 2", wait_seconds=0):
            pytest.fail("two holders")


def test_a_lease_that_another_process_left_in_the_file_is_free(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sessions
    with hold_lease(one, "pets", "the run 1", wait_seconds=0):
        monkeypatch.setattr(leases, "_PROCESS", "another process, after this one has died")
        with hold_lease(other, "pets", "the run 2", wait_seconds=0):
            assert "the run 2" in str(holder_of(one, "pets"))
    assert holder_of(other, "pets") is None


def test_looking_for_the_holder_makes_nothing(sessions: Sessions) -> None:
    one, _ = sessions
    assert holder_of(one, "pets") is None
    assert leases.leased_syncs(one) == []
