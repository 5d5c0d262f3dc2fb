"""Dagster's databases are kept open, and nothing else is different."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy.exc import OperationalError

from braze_platform.demo.dagster_storage import OPEN_DATABASES, OpenDatabases, OpenSqliteStorage
from braze_platform.demo.local_loop import prepare_dagster_home
from braze_platform.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return prepare_dagster_home(Settings(state_dir=tmp_path / "state"))


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@dg.asset
def orders() -> None:
    pass


def materialised(instance: dg.DagsterInstance) -> set[str]:
    return {key.to_user_string() for key in instance.get_asset_keys()}


def test_the_local_home_has_this_storage_beside_all_that_the_project_sets(
    instance: dg.DagsterInstance,
) -> None:
    assert type(storage_of(instance)) is OpenSqliteStorage
    assert instance.run_retries_enabled
    assert not instance.telemetry_enabled


def test_dagsters_own_storage_reads_what_this_one_wrote_and_the_other_way_round(
    home: Path, instance: dg.DagsterInstance
) -> None:
    run = dg.materialize([orders], instance=instance)
    with dg.DagsterInstance.local_temp(
        str(home), overrides={"storage": {"sqlite": {"base_dir": str(home)}}, "telemetry": {"enabled": False}}
    ) as plain:
        assert type(storage_of(plain)) is DagsterSqliteStorage
        assert [one.run_id for one in plain.get_runs()] == [run.run_id]
        assert plain.get_latest_materialization_event(orders.key) is not None
        plain.report_runless_asset_event(dg.AssetMaterialization("refunds"))
    assert materialised(instance) == {"orders", "refunds"}
    assert instance.all_logs(run.run_id)[-1].dagster_event_type is dg.DagsterEventType.RUN_SUCCESS


@pytest.mark.full
def test_a_second_process_writes_meanwhile(home: Path, instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("ours"))
    subprocess.run([sys.executable, "-c", _WRITES, str(home), "theirs"], check=True, timeout=120)
    instance.report_runless_asset_event(dg.AssetMaterialization("ours_again"))
    assert materialised(instance) == {"ours", "theirs", "ours_again"}


def test_what_a_killed_process_wrote_is_there(home: Path, instance: dg.DagsterInstance) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", _WRITES + "os.kill(os.getpid(), signal.SIGKILL)", str(home), "before_the_end"],
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL
    assert materialised(instance) == {"before_the_end"}


_WRITES = """
import os, signal, sys
import dagster as dg
instance = dg.DagsterInstance.from_config(sys.argv[1])
instance.report_runless_asset_event(dg.AssetMaterialization(sys.argv[2]))
"""


def test_threads_do_not_disturb_each_other(instance: dg.DagsterInstance) -> None:
    names = [f"asset_{number}" for number in range(40)]
    with ThreadPoolExecutor(max_workers=8) as threads:
        list(
            threads.map(
                lambda name: instance.report_runless_asset_event(dg.AssetMaterialization(name)), names
            )
        )
        found = list(threads.map(lambda _: len(instance.get_asset_keys()), names))
    assert set(found) == {len(names)}


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    databases = OpenDatabases()
    address = f"sqlite:///{tmp_path}/some.db"
    with databases.transaction(address) as connection:
        connection.exec_driver_sql("create table numbers (number integer)")
    with pytest.raises(OperationalError):
        write_what_fails(databases, address)
    with databases.transaction(address) as connection:
        assert connection.exec_driver_sql("select count(*) from numbers").scalar() == 0
    databases.close()


def write_what_fails(databases: OpenDatabases, address: str) -> None:
    with databases.transaction(address) as connection:
        connection.exec_driver_sql("insert into numbers values (1)")
        connection.exec_driver_sql("insert into no_such_table values (1)")


def test_only_the_databases_used_last_stay_open(tmp_path: Path) -> None:
    databases = OpenDatabases()
    for number in range(OPEN_DATABASES + 5):
        with databases.transaction(f"sqlite:///{tmp_path}/{number}.db") as connection:
            connection.exec_driver_sql("create table numbers (number integer)")
    assert len(open_files(tmp_path)) == OPEN_DATABASES
    databases.close()
    assert open_files(tmp_path) == set()


def test_disposing_closes_and_wiping_goes_on(home: Path, instance: dg.DagsterInstance) -> None:
    dg.materialize([orders], instance=instance)
    assert open_files(home)
    instance.wipe()
    assert materialised(instance) == set()
    run = dg.materialize([orders], instance=instance)
    assert instance.all_logs(run.run_id)
    instance.dispose()
    assert open_files(home) == set()


def storage_of(instance: dg.DagsterInstance) -> DagsterStorage:
    reference = instance.get_ref().storage_data
    assert reference is not None
    return reference.rehydrate(as_type=DagsterStorage)


def open_files(folder: Path) -> set[Path]:
    """The databases below a folder that this process holds open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            path = descriptor.readlink()
        except FileNotFoundError:
            continue  # the descriptor of this listing itself
        if folder in path.parents and path.suffix == ".db":
            found.add(path)
    return found
