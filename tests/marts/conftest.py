"""One small warehouse, built once for all tests and all test processes by the real assets."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import simulated_warehouse
from once_per_run import once_per_run
from random_warehouses import Warehouses, build_warehouses
from simulated_warehouse import SimulatedWarehouse
from two_warehouses import TwoBuilds, build_on_both

from braze_platform.currents.catalogue import catalogue
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings, Target

_TYPES = {
    "string": "VARCHAR",
    "int": "BIGINT",
    "long": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "array<string>": "VARCHAR[]",
    "array<string?>": "VARCHAR[]",
}


class RawTables:
    """Writes raw Currents tables as the loader leaves them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.count = 0
        connection.execute("create schema if not exists currents_raw")

    def add(self, event_type: str, user: str, at: str, *, hour: str | None = None, **values: object) -> str:
        """Insert one event of `user` (Braze id `b-<user>`, external id `<user>` unless given); returns its id."""
        declared = catalogue()[event_type]
        columns = ", ".join(f'"{field.name}" {_TYPES[field.type]}' for field in declared.fields)
        self.connection.execute(
            f"create table if not exists currents_raw.{declared.table} "
            f"({columns}, _hour TIMESTAMP, _file VARCHAR, _version VARCHAR, _loaded_at TIMESTAMP)"
        )
        self.count += 1
        moment = datetime.fromisoformat(at).replace(tzinfo=timezone.utc)
        row: dict[str, object] = {
            "id": f"e{self.count}",
            "user_id": f"b-{user}",
            "external_user_id": user,
            "time": int(moment.timestamp()),
            **values,
        }
        row = {name: value for name, value in row.items() if name in declared.field_names}
        row |= {"_hour": hour or f"{at[:13]}:00:00", "_file": "f", "_version": "12", "_loaded_at": at}
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        self.connection.execute(
            f"insert into currents_raw.{declared.table} ({names}) values ({marks})", [*row.values()]
        )
        return str(row["id"])


def write_story(path: Path) -> None:
    """Two campaigns, a control group, duplicates, machines, a merge, a deletion and a few orders."""
    connection = duckdb.connect(str(path))
    raw = RawTables(connection)
    email = {"campaign_id": "spring", "campaign_name": "Spring", "message_variation_id": "v1"}
    for user in ("ada", "bob", "cleo", "dan"):
        sent = {**email, "dispatch_id": f"d-{user}"}
        raw.add("users.messages.email.Send", user, "2026-11-10 09:00:00", **sent)
        raw.add("users.messages.email.Delivery", user, "2026-11-10 09:00:20", **sent)
    opened = raw.add("users.messages.email.Open", "ada", "2026-11-10 18:00:00", dispatch_id="d-ada", **email)
    raw.add(
        "users.messages.email.Open",
        "ada",
        "2026-11-10 18:00:00",
        hour="2026-11-11 02:00:00",
        id=opened,
        dispatch_id="d-ada",
        **email,
    )
    raw.add("users.messages.email.Click", "ada", "2026-11-10 18:05:00", dispatch_id="d-ada", **email)
    machine = {**email, "dispatch_id": "d-bob", "machine_open": "true"}
    raw.add("users.messages.email.Open", "bob", "2026-11-10 09:01:00", **machine)
    bot = {**email, "dispatch_id": "d-cleo", "is_suspected_bot_click": True}
    raw.add("users.messages.email.Click", "cleo", "2026-11-10 09:01:00", **bot)
    nonsense = "0f8fad5b-d9cb-469f-a165-70867728950e"
    raw.add(
        "users.messages.email.Open", nonsense, "2026-11-10 09:00:00", timezone=nonsense, campaign_id=nonsense
    )

    for user in ("eve", "fay"):
        raw.add("users.campaigns.EnrollInControl", user, "2026-11-10 09:00:00", campaign_id="spring")
    for user in ("ada", "bob", "eve"):
        converted = {"campaign_id": "spring", "campaign_name": "Spring sale", "conversion_behavior_index": 0}
        raw.add("users.campaigns.Conversion", user, "2026-11-11 10:00:00", **converted)
    raw.add(
        "users.campaigns.Conversion",
        "cleo",
        "2026-11-11 10:00:00",
        campaign_id="spring",
        conversion_behavior_index=1,
    )

    app = {"campaign_id": "hello", "message_variation_id": "w1", "app_id": "app"}
    raw.add("users.messages.inappmessage.Impression", "ada", "2026-11-12 08:00:00", **app)
    raw.add("users.messages.inappmessage.Click", "ada", "2026-11-12 08:00:30", **app)

    # zoe's anonymous profile was merged into another anonymous one, and that into ada's.
    raw.add(
        "users.behaviors.CustomEvent",
        "anonymous",
        "2026-11-09 08:00:00",
        external_user_id=None,
        name="product_viewed",
        properties=json.dumps({"category": "garden"}),
    )
    for orphan, survivor in (("anonymous", "b-middle"), ("middle", "b-ada")):
        raw.add(
            "users.UserOrphan",
            orphan,
            "2026-11-12 09:00:00",
            external_user_id=None,
            orphaned_by_id=survivor,
        )
    raw.add("users.UserDeleteRequest", "dan", "2026-11-13 09:00:00")
    raw.add(
        "users.behaviors.Purchase",
        "bob",
        "2026-11-11 10:00:00",
        product_id="p",
        price=9.989999771118164,
        currency="EUR",
        properties="{}",
    )

    connection.execute(
        "create schema company; "
        "create table company.users (user_id VARCHAR, email VARCHAR, country VARCHAR, signed_up_at TIMESTAMP, "
        "marketing_consent BOOLEAN); "
        "create table company.orders (order_id VARCHAR, user_id VARCHAR, ordered_at TIMESTAMP, category VARCHAR, "
        "currency VARCHAR, amount DOUBLE, status VARCHAR)"
    )
    for user in ("ada", "bob", "cleo", "dan", "never_seen"):
        connection.execute("insert into company.users values (?, ?, 'GB', '2026-01-01', true)", [user, "x@y"])
    for number, (user, currency, amount, status) in enumerate(
        [
            ("ada", "EUR", 20.0, "completed"),
            ("ada", "GBP", 10.0, "completed"),
            ("ada", "EUR", 500.0, "refunded"),
            ("bob", "EUR", 700.0, "completed"),
            ("bob", "EUR", 1.0, "completed"),
            ("dan", "EUR", 30.0, "completed"),
            ("never_seen", "EUR", 5.5, "completed"),
        ]
    ):
        connection.execute(
            "insert into company.orders values (?, ?, ?, 'books', ?, ?, ?)",
            [f"o{number}", user, f"2026-11-0{number + 1} 12:00:00", currency, amount, status],
        )
    connection.close()


@dataclass(frozen=True)
class Build:
    """A finished build: its settings and the Dagster instance that recorded it."""

    settings: Settings
    instance: dg.DagsterInstance

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        return json.loads(prepare_manifest(self.settings).read_text(encoding="utf-8"))

    @cached_property
    def column_lineage(self) -> Mapping[dg.AssetKey, Mapping[str, list[dg.TableColumnDep]]]:
        """What each column of each model is computed from, by its latest materialisation; nothing for sources."""
        keys = [
            dg.AssetKey([node["fqn"][1], node["name"]])
            for node in self.manifest["nodes"].values()
            if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
        ]
        return {
            key: self.materialization(*key.path).metadata["dagster/column_lineage"].value.deps_by_column
            for key in keys
        }

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.duckdb_path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def materialization(self, *key: str) -> dg.AssetMaterialization:
        event = self.instance.get_latest_materialization_event(dg.AssetKey(key))
        assert event is not None and event.asset_materialization is not None
        return event.asset_materialization


@pytest.fixture(scope="session")
def parsed_installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("installation")


@pytest.fixture
def installation(parsed_installation: Path) -> Iterator[Path]:
    """A folder for an installation of one test, in which dbt parses the project once per worker."""
    yield parsed_installation
    for path in parsed_installation.iterdir():
        if path.is_file():
            path.unlink()
        elif path != Settings(state_dir=parsed_installation).dbt_target_dir.parent:
            shutil.rmtree(path)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, parsed: Callable[[Target], Settings]) -> Build:
    # In the installation that is parsed already: another one's parsing takes some 8 seconds.
    settings = parsed("local")

    def make(folder: Path) -> None:
        write_story(settings.duckdb_path)
        definitions = marts_definitions(settings, prepare_manifest(settings))
        dg.materialize(
            list(definitions.assets or []), instance=opened(folder), resources=definitions.resources
        )
        # Fails unless the run has given the file back: what follows it in the same process opens it, too.
        with duckdb.connect(str(settings.duckdb_path), config={"threads": 1}) as connection:
            connection.execute("create table main.written_after_the_build as select 1 as one")

    def opened(folder: Path) -> dg.DagsterInstance:
        return dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}})

    return Build(settings, opened(once_per_run(tmp_path_factory, "marts_build", make)))


@pytest.fixture(scope="session")
def two_builds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TwoBuilds:
    def make(folder: Path) -> None:
        story = tmp_path_factory.mktemp("story") / "story_of_two_warehouses.duckdb"
        write_story(story)
        build_on_both(story, request.getfixturevalue("emulators"), folder)

    return TwoBuilds(once_per_run(tmp_path_factory, "two_warehouses", make))


@pytest.fixture(scope="session")
def simulated_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        simulated_warehouse.make(folder / "state")

    return once_per_run(tmp_path_factory, "simulated_warehouse", make) / "state"


@pytest.fixture(scope="session")
def simulated(simulated_build: Path) -> SimulatedWarehouse:
    """Not to be written to."""
    return simulated_warehouse.opened(simulated_build)


@pytest.fixture(scope="session")
def random_warehouses(tmp_path_factory: pytest.TempPathFactory) -> Warehouses:
    return Warehouses(once_per_run(tmp_path_factory, "random_warehouses", build_warehouses))
