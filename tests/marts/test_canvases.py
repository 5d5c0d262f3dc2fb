"""Canvases and experiments, against a count of the Avro records in plain Python."""

from collections import defaultdict

from simulated_warehouse import Record, SimulatedWarehouse

from braze_platform.sandbox.world.canvases import CANVASES, SPLITS

ENTRY = "users.canvas.Entry"
PROGRESSION = "users.canvasstep.Progression"
EXITS = {
    "exit: performed event": "users.canvas.exit.PerformedEvent",
    "exit: matched audience": "users.canvas.exit.MatchedAudience",
}
SENDS = (
    "users.messages.email.Send",
    "users.messages.pushnotification.Send",
    "users.messages.sms.Send",
)


def of(records: list[Record], **wanted: object) -> list[Record]:
    return [record for record in records if all(record[name] == value for name, value in wanted.items())]


def test_canvases_count_people_once(simulated: SimulatedWarehouse) -> None:
    rows = {row["canvas_id"]: row for row in simulated.rows("select * from marts.mart_canvas_performance")}
    assert len(rows) == len(CANVASES)
    for canvas in CANVASES:
        row, canvas_id = rows[canvas.id_of()], canvas.id_of()
        entries = of(simulated.records(ENTRY), canvas_id=canvas_id)
        control = simulated.people(of(entries, in_control_group=True))
        treated = simulated.people(entries) - control
        converted = simulated.people(of(simulated.records("users.canvas.Conversion"), canvas_id=canvas_id))
        assert row["canvas_name"] == canvas.name
        assert (row["treated_users"], row["control_users"]) == (len(treated), len(control))
        assert row["treated_conversions"] == len(converted & treated) > 0
        assert row["control_conversions"] == len(converted & control)
        assert row["lift_low"] < row["lift"] < row["lift_high"]
        sent = [event for name in SENDS for event in of(simulated.records(name), canvas_id=canvas_id)]
        assert row["sends"] == len(sent)


def test_steps_and_edges_are_those_of_the_events(simulated: SimulatedWarehouse) -> None:
    edges: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for event in of(simulated.records(ENTRY), in_control_group=False):
        way = (event["canvas_id"], event["canvas_variation_id"], "entry", event["canvas_step_id"])
        edges[way].add(simulated.person(event["user_id"]))
    for event in simulated.records(PROGRESSION):
        way = (
            event["canvas_id"],
            event["canvas_variation_id"],
            event["canvas_step_id"],
            event["next_step_id"],
        )
        edges[way].add(simulated.person(event["user_id"]))
    for reason, name in EXITS.items():
        for event in simulated.records(name):
            way = (event["canvas_id"], event["canvas_variation_id"], event["canvas_step_id"], reason)
            edges[way].add(simulated.person(event["user_id"]))
    found = {
        (row["canvas_id"], row["canvas_variation_id"], row["from_node"], row["to_node"]): row["users"]
        for row in simulated.rows("select * from marts.mart_canvas_steps_edges")
    }
    assert found == {way: len(people) for way, people in edges.items()}

    advanced: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    at_step: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for (canvas, variation, start, end), people in edges.items():
        if start != "entry":
            at_step[canvas, variation, start] |= people
        if not end.startswith("exit"):
            at_step[canvas, variation, end] |= people
            if start != "entry":
                advanced[canvas, variation, start] |= people
    for row in simulated.rows("select * from marts.mart_canvas_journey"):
        step = (row["canvas_id"], row["canvas_variation_id"], row["canvas_step_id"])
        assert row["advanced_users"] == len(advanced[step])
        assert row["users_at_step"] == len(at_step[step])
        expected = 1 - len(advanced[step]) / len(at_step[step]) if advanced[step] else None
        assert row["drop_off_rate"] == expected or abs(row["drop_off_rate"] - expected) < 1e-9


def test_experiments_count_each_path(simulated: SimulatedWarehouse) -> None:
    entries = simulated.records("users.canvas.experimentstep.SplitEntry")
    conversions = simulated.records("users.canvas.experimentstep.Conversion")
    rows = simulated.rows("select * from marts.mart_experiments")
    assert len(rows) == len(CANVASES) * len(SPLITS)
    for row in rows:
        control = simulated.people(
            of(entries, experiment_step_id=row["experiment_step_id"], in_control_group=True)
        )
        path = {"experiment_split_id": row["experiment_split_id"]}
        entered = simulated.people(of(entries, **path))
        converted = simulated.people(of(conversions, **path)) & entered
        if not row["is_control"]:
            entered, converted = entered - control, converted - control
            assert row["uplift_low"] <= row["uplift"] <= row["uplift_high"]
            assert abs(row["uplift"] - (row["conversion_rate"] - row["control_conversion_rate"])) < 2e-6
        assert row["experiment_split_name"] in SPLITS
        assert (row["entered_users"], row["conversions"]) == (len(entered), len(converted))
        assert row["control_users"] == len(control)


def test_dimensions_name_what_the_sandbox_names(simulated: SimulatedWarehouse) -> None:
    names = {
        row["canvas_id"]: row["canvas_name"]
        for row in simulated.rows("select canvas_id, canvas_name from marts.dim_canvas")
    }
    assert names == {canvas.id_of(): canvas.name for canvas in CANVASES}
    steps = simulated.rows("select canvas_id, canvas_step_id, canvas_step_name from marts.dim_canvas_step")
    assert {(row["canvas_id"], row["canvas_step_id"], row["canvas_step_name"]) for row in steps} == {
        (canvas.id_of(), canvas.id_of("step", step), step.capitalize())
        for canvas in CANVASES
        for step in ("message", "split", "second message")
    }
    [renamed] = simulated.rows(
        "select name_count, name_history from marts.dim_campaign where campaign_name = 'Garden days'"
    )
    assert renamed == {"name_count": 2, "name_history": "Garden weekend > Garden days"}
    variations = simulated.rows("select * from marts.dim_message_variation where campaign_id is not null")
    assert {row["campaign_id"] for row in variations} == set(simulated.truth)
