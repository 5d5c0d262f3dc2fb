"""When models are built: after their upstream changed, all that is concerned in one run, again after a failure.

Dagster's `eager` does not fit models that are not partitioned and stand on partitioned raw tables: it holds a
model back while any partition above it is missing, and days without events are missing for ever. What is here looks
at changes instead: any partition of any day that is loaded, however late, is a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import Any, TypeAlias

import dagster as dg

Condition: TypeAlias = "dg.AutomationCondition[Any]"

#: A model whose last build failed is tried again at these times, and at once when its upstream changes.
RETRY_CRON = "*/15 * * * *"


@dataclass(frozen=True)
class LoadTriggers:
    """The sources that say when models are built."""

    #: All whose loads are waited for.
    sources: Sequence[dg.AssetKey]
    #: The few of which nearly every installation has one. (All sources would be thousands of conditions in every tick.)
    anchors: Sequence[dg.AssetKey]
    #: Those that automation itself asks for, where sensors ask for the others.
    automated: Sequence[dg.AssetKey] = ()
    #: The anchor that a load which has it ends with.
    loaded_last: dg.AssetKey | None = None


def model_condition(
    ignored: dg.AssetSelection | None = None,
    *,
    only: dg.AssetSelection | None = None,
    reads_sources: bool = True,
) -> Condition:
    """For a model that reads other models: all of them must be there, or be built along.

    What it reads among `ignored` is as if it were always there (an empty table, if nothing ever wrote it), and changes
    of it are no reason to build. With `only`, this goes for all that it reads but those. Only sources have blocking
    checks, so a model that reads none (`reads_sources`) need not look for them: looking at all models' checks took a
    fifth of a tick.
    """
    condition = dg.AutomationCondition
    # Of runs only, here and below: in progress as a backfill's part is a run of it, or will be before it is loaded.
    deps: Callable[[Condition], Condition] = partial(_deps, ignored=ignored, only=only)
    # A model in progress counts as there: what flips while a run goes on would look like a reason for another run.
    has_input = deps(~condition.missing() | condition.will_be_requested() | condition.run_in_progress())
    missing = deps(condition.missing() & ~condition.will_be_requested())
    busy = condition.run_in_progress() | deps(condition.run_in_progress())
    held_back = (busy | deps(_check_failed()) if reads_sources else busy).with_label("held_back")
    wanted = _wanted(has_input, ignored=ignored, only=only)
    return (wanted & ~missing & ~held_back).with_label("after_upstream_changes")


def staging_condition(triggers: LoadTriggers) -> Condition:
    """For a staging model, the first above the sources; it triggers everything below.

    It waits while ANY source is being loaded, so that a backlog of days ends in one build and not in one per day.
    Staging models that were never built are built as soon as an anchor has data, their own source or not: what unites
    them needs all of them, and an event type that was never delivered is an empty table. An installation without any
    anchor waits for the next `RETRY_CRON`.

    While automation is asking for a source, staging models wait for the next tick: it is loaded in a run of its own,
    and when that fails, models are built from what is there.
    """
    condition = dg.AutomationCondition
    has_data = _deps(~condition.missing()) | _any_of(triggers.anchors, ~condition.missing())
    loading = _loading(triggers) | _deps(condition.run_in_progress())
    held_back = (condition.run_in_progress() | _deps(_check_failed())).with_label("held_back")
    never_built = condition.missing() & condition.cron_tick_passed(RETRY_CRON)
    return (
        (_wanted(has_data) | never_built) & _settled(loading, triggers.loaded_last) & ~held_back
    ).with_label("after_sources_change")


def erasure_condition(triggers: LoadTriggers) -> Condition:
    """For what runs along with staging models, just before them, after a change of ANY raw table.

    No failed check holds it back, and of loads it looks at the triggering ones alone: with a hundred tables above
    it, each condition on all of them costs as much as a model's whole.
    """
    condition = dg.AutomationCondition
    return (
        _wanted(_any_of(triggers.anchors, ~condition.missing()))
        & _settled(_loading(triggers), triggers.loaded_last)
        & ~condition.run_in_progress()
    ).with_label("after_any_source_changes")


def _loading(triggers: LoadTriggers) -> Condition:
    # A run of raw tables nearly always has an anchor among them and loads it last; until it is there, its run is seen
    # to be in progress. (Conditions on all sources would double the time of every tick.)
    triggering = {*triggers.anchors, *(key for key in triggers.sources if key.path[0] != "currents")}
    loading = _any_of(triggering, dg.AutomationCondition.run_in_progress())
    for key in sorted(triggers.automated):
        loading |= dg.AutomationCondition.asset_matches(key, dg.AutomationCondition.will_be_requested())
    return loading


def _settled(loading: Condition, loaded_last: dg.AssetKey | None) -> Condition:
    condition = dg.AutomationCondition
    # A tick reads the event log as it was when the tick began, but runs as they are: in the tick in which a load is
    # seen to have ended, its last materialisations may not be seen yet, and a second run would build them. They are,
    # when that of the table which every load ends with is.
    just_loaded = (~loading).newly_true() & ~condition.initial_evaluation()
    if loaded_last is not None:
        just_loaded &= ~condition.asset_matches(loaded_last, condition.newly_updated())
    return (~loading & ~just_loaded).with_label("loads_have_ended")


def _wanted(
    has_input: Condition, *, ignored: dg.AssetSelection | None = None, only: dg.AssetSelection | None = None
) -> Condition:
    condition = dg.AutomationCondition
    updated = _narrowed(condition.any_deps_updated(), ignored=ignored, only=only)
    changed = updated.since_last_handled().with_label("upstream_changed")
    # Unlike `since_last_handled`, this is not reset when a condition is evaluated for the first time: a new model, or a
    # new installation over existing data, would wait for the next load else.
    handled = condition.newly_requested() | condition.newly_updated()
    first = (condition.missing() & has_input).newly_true().since(handled).with_label("never_built")
    # In this order: the other way round every model would be a candidate at every tick of the clock, and Dagster keeps
    # an evaluation that differs from the last one for a month (100 KB each).
    failed = (condition.execution_failed() & condition.cron_tick_passed(RETRY_CRON)).with_label(
        "retry_after_failure"
    )
    wanted: Condition = (changed | first | _code_changed() | failed).with_label("wanted")
    return wanted


def _code_changed() -> Condition:
    """The model is defined otherwise than when it was last asked for: changed, or mended after a build that failed."""
    condition = dg.AutomationCondition
    # A trigger and no gate: it is true in one tick alone, and remembered until the model was built.
    changed = condition.code_version_changed()
    at_rest = (changed & ~condition.run_in_progress()).since(
        condition.newly_requested() | condition.newly_updated()
    )
    # What a run that had begun before builds is still the old model.
    in_a_run = (changed & condition.run_in_progress()).since(condition.newly_requested())
    found: Condition = (at_rest | in_a_run).with_label("code_changed")
    return found


def _check_failed() -> Condition:
    condition = dg.AutomationCondition
    # A check that has never run holds nothing back; a check of a model that is about to be built is about to run.
    failed: Condition = (
        condition.any_checks_match(condition.check_failed(), blocking_only=True)
        & ~condition.will_be_requested()
    ).with_label("upstream_check_failed")
    return failed


def _deps(
    wanted: Condition, *, ignored: dg.AssetSelection | None = None, only: dg.AssetSelection | None = None
) -> Condition:
    deps: Condition = _narrowed(dg.AutomationCondition.any_deps_match(wanted), ignored=ignored, only=only)
    return deps


def _narrowed(deps: Any, *, ignored: dg.AssetSelection | None, only: dg.AssetSelection | None) -> Any:
    """A condition on all that an asset reads, without some of it or on some of it only."""
    if ignored is not None:
        deps = deps.ignore(ignored)
    return deps if only is None else deps.allow(only)


def _any_of(keys: Iterable[dg.AssetKey], wanted: Condition) -> Condition:
    conditions: list[Condition] = [dg.AutomationCondition.asset_matches(key, wanted) for key in sorted(keys)]
    return reduce(or_, conditions)
