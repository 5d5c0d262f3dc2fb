"""No message event vanishes without a named reason, and one that does is told."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
from dbt_runs import dbt
from simulated_warehouse import SimulatedWarehouse

from braze_platform.currents.catalogue import catalogue
from braze_platform.marts.dbt_environment import project_variables
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.marts.rebuild_window import RebuildWindow
from braze_platform.settings import Settings, Target

DAY = timedelta(days=1)


def test_every_staged_type_is_counted_and_everyone_is_seen(parsed: Callable[[Target], Settings]) -> None:
    manifest = json.loads(prepare_manifest(parsed("local")).read_text(encoding="utf-8"))
    nodes = manifest["nodes"]

    def read_by(model: str) -> set[str]:
        [node] = (node for node in nodes.values() if node["name"] == model)
        return {parent.rpartition(".")[2] for parent in node["depends_on"]["nodes"]}

    staged = {node["name"] for node in nodes.values() if node["name"].startswith("stg_currents__")}
    messages = {
        f"stg_currents__{one.table}" for one in catalogue().values() if "action" in (one.staging or {})
    }
    assert len(staged) > 90
    assert read_by("int_message_events") == messages < staged
    assert read_by("int_user_sightings") == staged - messages | {"int_message_events"}
    counted = {f"stg_currents__{table}" for table in read_by("audit_event_counts")}
    assert counted - {"stg_currents__int_message_events", "stg_currents__int_message_sends"} == staged
    assert messages < read_by("audit_message_counts")


def test_the_counts_are_those_of_the_files(simulated: SimulatedWarehouse) -> None:
    rows = simulated.rows("select * from marts.audit_message_counts")
    lost = ("events_lost_in_staging", "events_lost_in_union", "sends_lost")
    assert all(row[column] == 0 for row in rows for column in lost)
    known = [name for name in catalogue() if name.startswith("users.messages.")]
    delivered = {name: simulated.bucket.records[name] for name in known}
    assert sum(row["delivered_events"] for row in rows) == sum(map(len, delivered.values()))
    clean = sum(len(simulated.records(name)) for name in delivered)
    assert sum(row["message_events"] for row in rows) == clean
    assert sum(row["test_events"] for row in rows) > 0
    assert sum(row["repeated_copies"] for row in rows) > 0


def test_an_event_that_vanished_fails_the_build(simulated: SimulatedWarehouse, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    shutil.copy(simulated.settings.duckdb_path, settings.duckdb_path)
    with duckdb.connect(str(settings.duckdb_path)) as connection:
        connection.execute(
            "delete from staging.stg_currents__users_messages_email_send where event_id = "
            "(select min(event_id) from staging.stg_currents__users_messages_email_send)"
        )
        connection.execute(
            "delete from intermediate.int_message_sends where send_event_id = "
            "(select min(send_event_id) from intermediate.int_message_sends where channel = 'push')"
        )
    said = dbt(settings, "build", "--select", "audit_message_counts", fails=True)
    failed = set(re.findall(r"Failure in test accepted_values_audit_message_counts_v1_(\w+?)__", said))
    assert failed == {"events_lost_in_staging", "events_lost_in_union", "sends_lost"}
    with duckdb.connect(str(settings.duckdb_path), read_only=True) as connection:
        assert connection.execute(
            "select channel, action, events_lost_in_staging, events_lost_in_union, sends_lost "
            "from marts.audit_message_counts where events_lost_in_staging <> 0 or sends_lost <> 0 order by channel"
        ).fetchall() == [("email", "send", 1, -1, 0), ("push", "send", 0, 0, 1)]


def test_what_is_loaded_while_models_are_built_waits_for_the_next_build(
    simulated: SimulatedWarehouse, tmp_path: Path
) -> None:
    """A load that commits between a staging model and the audit is in the raw table, and in no model."""
    settings = Settings(state_dir=tmp_path)
    shutil.copy(simulated.settings.duckdb_path, settings.duckdb_path)
    counted = "select delivered_day, channel, action, delivered_events from marts.audit_message_counts"
    with duckdb.connect(str(settings.duckdb_path)) as connection:
        before = connection.execute(counted).fetchall()
        [(load_id, first, last)] = connection.execute(
            "select max(load_id), min(hour), max(hour) from currents_ledger.files"
        ).fetchall()
        raw, ledger = "currents_raw.users_messages_email_send", "currents_ledger.files"
        [(hour,)] = connection.execute(
            f"select min(_hour) from {raw} where _hour > $1", [first + DAY]
        ).fetchall()
        connection.execute(
            f"insert into {raw} select * replace (id || '-late' as id) from {raw} where _hour = $1", [hour]
        )
        connection.execute(
            f"insert into {ledger} select * replace (load_id + 1 as load_id) from {ledger} where load_id = $1 limit 1",
            [load_id],
        )
        connection.execute(f"update {ledger} set hour = $1 where load_id = $2", [hour, load_id + 1])
    model = "audit_message_counts"
    look_back = timedelta(days=project_variables(settings)["duplicates_look_back_days"])
    for known, fails in ((load_id, False), (load_id + 1, True)):
        window = RebuildWindow({model: [(first, last)]}, {}, last, known)
        said = dbt(settings, "build", "--select", model, window=window, fails=fails)
        failure = "Failure in test accepted_values_audit_message_counts_v1_events_lost_in_staging__"
        assert (failure in said) is fails
        with duckdb.connect(str(settings.duckdb_path), read_only=True) as connection:
            found = set(connection.execute(counted).fetchall())
        if not fails:
            kept = [row for row in before if not hour.date() <= row[0] <= (hour + look_back).date()]
            assert found == set(kept)
            assert 0 < len(kept) < len(before)
