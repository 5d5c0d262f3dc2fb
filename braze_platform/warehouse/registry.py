"""Every table that the platform itself owns, but raw tables (see `currents.raw_tables`) and dbt's models."""

from __future__ import annotations

from collections.abc import Iterator

from braze_platform.warehouse.tables import Column, Dataset, Table, flag, number, text, time
from braze_platform.warehouse.workspace_tables import READINGS, WORKSPACE
from braze_platform.warehouse.workspace_tables import TABLES as WORKSPACE_TABLES

CURRENTS_LEDGER = Dataset(
    "currents_ledger", "Which Currents objects were loaded into which hour, and which could not be."
)
MARTS_LEDGER = Dataset(
    "marts_ledger", "Which loads of Currents are in the last build of each dbt model, and which tests fail."
)
BRAZE_SYNC = Dataset(
    "braze_sync",
    "What the platform sent to Braze: ledgers of acknowledged values, deliveries and rejections.",
)
PRIVACY = Dataset(
    "privacy", "People who were deleted in Braze, by hashes of their ids, and how far their data was erased."
)

PLATFORM = Dataset("braze_platform", "The platform itself: which changes of its tables were applied.")

MIGRATIONS = PLATFORM.table(
    "migrations",
    "Changes of the platform's own tables between releases: a row for each that was applied.",
    number("number", "Number of the migration."),
    text("description", "What it does."),
    text("version", "The release that applied it."),
    time("applied_at", "When it had taken effect (UTC)."),
    since="0.2.0",
)

BOUND_WORKSPACE = PLATFORM.table(
    "workspace",
    "The Braze workspace whose values the ledgers hold: one row. Nothing is sent to another.",
    text("host", "Host of its REST endpoint; `a sandbox of this machine` for any of those."),
    text("key_mark", "Part of a hash of its key, by which an exchanged one is noticed; blank for a sandbox."),
    time("bound_at", "When the ledgers were said to belong to it (UTC)."),
    since="0.3.0",
)

_EVENT_TYPE = text("event_type", "Event type as Currents names it, e.g. users.messages.email.Open.")
_HOUR = time("hour", "UTC hour of the object's `date=` folder.")
_OBJECT_KEY = text("object_key", "Key of the object in the bucket.")
_GENERATION = text("generation", "Changes whenever the object is rewritten.")
_SIZE = number("size_bytes", "Size of the object.")
_VERSION = text("version", "Currents release of the file, or schema-<id> in the older layout.")
_FINGERPRINT = text("fingerprint", "Hash of the fields in their order.")

FILES = CURRENTS_LEDGER.table(
    "files",
    "A row per loaded object. An hour that lost all of its objects keeps one row with a blank key.",
    _EVENT_TYPE,
    _HOUR,
    _OBJECT_KEY,
    _GENERATION,
    _SIZE,
    number("row_count", "Events of the object."),
    _VERSION,
    number("load_id", "Number of the load: greater than that of every load before."),
    time("loaded_at", "When it was loaded (UTC)."),
    # A load asks for its own days: what that reads may not grow with all the years before.
    day_of="hour",
    cluster_by="event_type",
)
LOADS = CURRENTS_LEDGER.table(
    "loads",
    "The latest load of each event type.",
    _EVENT_TYPE,
    number("load_id", "Number of its latest load."),
)
QUARANTINE = CURRENTS_LEDGER.table(
    "quarantine",
    "Objects that cannot be loaded; open until `resolved_at`.",
    _OBJECT_KEY,
    text("event_type", "Event type by the key; null where the key has no known layout."),
    time("hour", "UTC hour by the key; null where the key has no known layout."),
    _GENERATION,
    _SIZE,
    text("reason", "Why it cannot be loaded."),
    time("first_seen_at", "When it was first found so (UTC)."),
    time("last_seen_at", "When it was last found so (UTC)."),
    time("resolved_at", "When it was loaded, replaced, or gone (UTC)."),
)
RELOADS = CURRENTS_LEDGER.table(
    "reloads",
    "Reloads by hand; one without an end is resumed.",
    text("choices", "Event types, days and hours, as JSON."),
    time("started_at", "Hours that were loaded since are done (UTC)."),
    time("finished_at", "When all was loaded, or given up (UTC)."),
)
SCHEMAS = CURRENTS_LEDGER.table(
    "schemas",
    "Every schema that objects were written with.",
    _EVENT_TYPE,
    _VERSION,
    _FINGERPRINT,
    text("fields", "Name, type and nullability of each field, as JSON."),
    time("first_seen_at", "When it was first loaded (UTC)."),
    text("example_file", "Key of the first object that had it."),
)
FILE_SCHEMAS = CURRENTS_LEDGER.table(
    "file_schemas",
    "Which loaded object has which schema.",
    _EVENT_TYPE,
    _HOUR,
    _OBJECT_KEY,
    _VERSION,
    _FINGERPRINT,
    day_of="hour",
    cluster_by="event_type",
)

_MODEL = text("model", "The dbt model.")
BUILDS = MARTS_LEDGER.table(
    "builds",
    "The last build of each dbt model.",
    _MODEL,
    number("load_id", "The latest load of Currents that it holds."),
    text("code", "Hash of the code that built it."),
    time("built_at", "When it was built (UTC)."),
).rebuildable("the next build of the models")
FAILED_TESTS = MARTS_LEDGER.table(
    "failed_tests",
    "The dbt tests that fail now; they stop the syncs that are computed from their model.",
    text("test", "dbt's unique id of the test."),
    text("model", "The model that it tests."),
    number("failures", "Rows that it found; 0 when it could not be run."),
    time("failed_at", "When it was last run (UTC)."),
).rebuildable("the next build of the models")
LATE_HOURS = MARTS_LEDGER.table(
    "late_hours",
    "Which hours hold events that happened long before them.",
    _EVENT_TYPE,
    _HOUR,
    number("event_day", "Day of such events, in days since 1970."),
    day_of="hour",
    cluster_by="event_type",
).rebuildable("the next build of the models")

TOMBSTONES = PRIVACY.table(
    "tombstones",
    "People who were deleted in Braze, by hashes of their ids: a row per identity.",
    text("person", "Token of the person, as it stands in place of the Braze id."),
    text("identity_hash", "SHA-256 of the identity."),
    text("kind", "braze_id, external_id, email or phone."),
    time("deleted_at", "When the deletion was requested (UTC)."),
    time("erased_at", "When the tombstone was written (UTC)."),
)
PENDING = PRIVACY.table(
    "pending",
    "Identities in the clear of people whose erasure has begun; emptied when none of them is found anywhere any more.",
    text("braze_id", "The Braze id of the profile.", personal=True),
    text("identity", "What the person is known by.", personal=True),
    text(
        "kind",
        "braze_id, external_id, email or phone; rewrite: what was erased is still in free blocks of the file.",
    ),
    time("deleted_at", "When the deletion was requested (UTC)."),
    since="0.3.0",
)
LEFT = PRIVACY.table(
    "left_behind",
    "Tables in which people of `pending` could still be found by the last search; empty before there was one.",
    text("table_name", "The table, with its dataset."),
    time("searched_at", "When that was (UTC)."),
    since="0.3.0",
).rebuildable("the next erasure")
ERASURE_APPROVALS = PRIVACY.table(
    "erasure_approvals",
    "People who may be erased though they are more than the limit at once, by hashes of their Braze ids.",
    text("identity_hash", "SHA-256 of the Braze id."),
    time("approved_at", "When that was (UTC)."),
    since="0.3.0",
)
PROGRESS = PRIVACY.table(
    "progress",
    "How far the loads of Currents were searched for people who were erased before.",
    number("load_id", "The latest load that was searched."),
    time("erased_at", "When that was (UTC)."),
).rebuildable("the next erasure")

_SYNC = text("sync", "The sync (its dbt model).")
_RUN = text("run_id", "The Dagster run that sent it.")
_USER = text(
    "_user",
    "The sync's identifier of the user; the alias name of a user alias. Personal data.",
    personal=True,
)
_LABEL = text("_label", "The label of a user alias; blank for other identifiers.", personal=True)
_ATTRIBUTE = text("attribute", "The attribute's name in Braze.")
_VALUE_HASH = text("value_hash", "Hash of the canonical value; null when it was removed.", personal=True)
_CARRIED = text(
    "attribute_values",
    "What the object carried: a JSON array of an entry per attribute with `attribute`, `hash` (of the canonical value; "
    "null when the attribute was cleared) and, where BRAZE_PLATFORM_DELIVERIES is `values`, `value`.",
    personal=True,
)

LEDGER = BRAZE_SYNC.table(
    "ledger_<sync>",
    "What Braze acknowledged: a row per user. Each attribute has two columns more: its acknowledged value under its "
    "name, in the model's type (null: Braze holds nothing from us), and `_resend_<name>`: whether it is sent again.",
    Column("_user", "string", _USER.description, personal=True, required=True),
    Column("_label", "string", "The label of a user alias; other syncs do not have it.", True, True),
    time(
        "_acknowledged_at",
        "When Braze last acknowledged a value (UTC); null where nobody knows whether Braze has the user.",
    ),
)
LEASE = BRAZE_SYNC.table(
    "lease_<sync>",
    "One row: who may write the sync's tables, since when and until when. Each sync has a table of its own, because "
    "BigQuery cancels one of two transactions that change the same table.",
    _SYNC,
    text("token", "Names the lease; null when nobody holds it."),
    text("holder", "What holds it, for people."),
    text("process", "The process that holds it."),
    time("since", "When it was taken (UTC)."),
    time("expires_at", "When it ends unless it is renewed (UTC)."),
).rebuildable("the next holder")
DELIVERIES = BRAZE_SYNC.table(
    "deliveries",
    "Append-only: a row per object that was sent, or tried to be sent, with Braze's verdict.",
    _SYNC,
    _RUN,
    number("request_number", "The request within the run."),
    _USER,
    _LABEL,
    _CARRIED,
    text("verdict", "delivered, unconfirmed (nobody knows the user), rejected, or due (it is sent again)."),
    number("status", "HTTP status of Braze's answer; null without one."),
    number("attempts", "How often the request was sent."),
    text("reason", "Why it was not delivered. May hold personal data.", personal=True),
    time("delivered_at", "When the verdict was written (UTC)."),
    day_of="delivered_at",
)
REJECTIONS = BRAZE_SYNC.table(
    "rejections",
    "Values that were rejected for good, by Braze or by the platform before sending; open until `resolved_at`.",
    _SYNC,
    _USER,
    _LABEL,
    _ATTRIBUTE,
    _VALUE_HASH,
    text("reason", "Why. May hold personal data.", personal=True),
    text(
        "refused_by",
        "braze; value or part (the platform refused the value, or a part of it); unclear (an operator without a "
        "clear answer).",
    ),
    _RUN,
    time("rejected_at", "When it was rejected (UTC)."),
    time("resolved_at", "When the value was delivered, changed or reopened (UTC)."),
)
DECLARATIONS = BRAZE_SYNC.table(
    "declarations",
    "What each ledger was last fitted to.",
    _SYNC,
    text("attribute", "The attribute; blank for the identifier, `_keys` for the form of the users' keys."),
    text("type", "Its declared type, the identifier's kind and columns, or the form of the keys."),
)
APPLIED_PLANS = BRAZE_SYNC.table(
    "applied_plans",
    "Plans that were applied.",
    _SYNC,
    text("plan_id", "Hash of the plan's content."),
    _RUN,
    number("users", "Users of the model."),
    number("objects", "Objects that were planned."),
    time("applied_at", "When sending began (UTC)."),
)
APPROVALS = BRAZE_SYNC.table(
    "approvals",
    "Plans that a person approved beyond their limits.",
    _SYNC,
    text("plan_id", "The plan that may be applied."),
    time("approved_at", "When it was approved (UTC)."),
    time("ended_at", "When the approval was used or withdrawn (UTC)."),
)
EXISTENCE = BRAZE_SYNC.table(
    "existence",
    "Users of whom Currents did not tell whether Braze has them.",
    _SYNC,
    _USER,
    _LABEL,
    text("state", "known, missing, unsure (something was sent while nobody knew) or open (asked in vain)."),
    time("asked_at", "When Braze was last asked (UTC)."),
)
OPERATIONS = BRAZE_SYNC.table(
    "operations",
    "Operators that are being sent; what a killed run leaves here is unclear, and is never sent again.",
    _SYNC,
    _RUN,
    _USER,
    _LABEL,
    _CARRIED,
    time("began_at", "When sending began (UTC)."),
)
OBSERVATIONS = BRAZE_SYNC.table(
    "observations",
    "What Currents (users.profile.Update) told of attributes that syncs write: a row per attribute of an event.",
    _SYNC,
    _USER,
    text("_label", "Blank.", personal=True),
    _ATTRIBUTE,
    text(
        "value_hash",
        "Hash of the canonical value; null when it was removed; `unreadable` when it is not of the declared type.",
        personal=True,
    ),
    time("observed_at", "When the profile changed in Braze (UTC)."),
    text("update_source", "Who changed it, in Braze's words."),
    text("event_id", "Id of the event."),
    time("read_at", "When the sync read it (UTC)."),
    day_of="read_at",
)
OBSERVED_UNTIL = BRAZE_SYNC.table(
    "observed_until",
    "Up to which hour Currents was read for each sync.",
    _SYNC,
    time("delivered_hour", "The last hour that was read (UTC)."),
)

REQUEST_USAGE = BRAZE_SYNC.table(
    "request_usage",
    "Requests used in the hour, per endpoint that has an hourly limit.",
    text("endpoint", "Braze's endpoint."),
    time("hour", "The hour (UTC)."),
    number("used", "Requests that the last run knew to be used when it ended."),
    since="0.2.0",
).rebuildable("the next run that sends")

_PAYLOAD = "Attributes as a JSON object."
_CDI_KEYS = tuple(
    text(name, f"The user's {name.lower()}; null for other identifiers.", personal=True)
    for name in ("EXTERNAL_ID", "ALIAS_NAME", "ALIAS_LABEL", "BRAZE_ID", "EMAIL", "PHONE")
)
#: Braze's columns: https://www.braze.com/docs/user_guide/data/unification/cloud_ingestion/integrations
CDI = BRAZE_SYNC.table(
    "cdi_<sync>",
    "What Cloud Data Ingestion reads: a row per user while a run is under way.",
    Column("UPDATED_AT", "timestamp", "Rises from row to row and from run to run (UTC).", required=True),
    Column("PAYLOAD", "json", _PAYLOAD, personal=True, required=True),
    *_CDI_KEYS,
)
CDI_STAGED = BRAZE_SYNC.table(
    "cdi_staged_<sync>",
    "Rows that are about to be written to the CDI table.",
    time("UPDATED_AT", "As in the CDI table."),
    text("PAYLOAD", _PAYLOAD, personal=True),
    *_CDI_KEYS,
).rebuildable("the next run of the sync")
CDI_RUNS = BRAZE_SYNC.table(
    "cdi_runs",
    "Runs that wrote a CDI table.",
    _SYNC,
    _RUN,
    text("attributes", "Names of the attributes, as a JSON array."),
    number("planned_rows", "Rows that were written."),
    time("first_updated_at", "The least UPDATED_AT (UTC)."),
    time("last_updated_at", "The greatest UPDATED_AT (UTC)."),
    time("written_at", "When they were written (UTC)."),
    text("status", "written, or how Braze's sync ended."),
    number("rows_synced", "Rows that Braze says it took."),
    number("rows_failed", "Rows that Braze says it refused."),
    time("settled_at", "When the run was concluded (UTC); null while it is under way."),
)
#: The columns of these tables are those of the sync's ledger or plan.
PLAN = BRAZE_SYNC.table(
    "plan_<lease>_<sync>",
    "The users of a run's plan with the values that it compared, two columns per attribute. Personal data.",
    _USER,
    _LABEL,
    # Longer than any run takes.
    expires_after=72,
).rebuildable("the next run of the sync")
REKEYED = BRAZE_SYNC.table(
    "rekeyed_<sync>",
    "The ledger under the keys of the sync's new identifier, until it takes the ledger's place.",
    *LEDGER.columns,
)
PLAN_OBJECTS = BRAZE_SYNC.table(
    "plan_objects_<lease>_<sync>",
    "What a run decided for each user of its plan.",
    _USER,
    _LABEL,
    flag("_due", "Whether the last applied plan left it due."),
    text("_actions", "What becomes of each attribute."),
    text("_object", "The JSON to send; null when there is none.", personal=True),
    text("_sent", "What it carries, as in `deliveries`.", personal=True),
    text("_operation", "The same for operators.", personal=True),
    text("_operated", "What that carries.", personal=True),
    text("_rejections", "Values that must not be sent, with reasons, as JSON.", personal=True),
    expires_after=72,
).rebuildable("the next run of the sync")
RETYPED = BRAZE_SYNC.table(
    "retyped_<sync>",
    "Users whose acknowledged value has another form under the attribute's new type.",
    _USER,
    _LABEL,
).rebuildable("the next run of the sync")

#: Tables of which an installation has one.
TABLES = (
    *(MIGRATIONS, BOUND_WORKSPACE),
    *(FILES, LOADS, QUARANTINE, RELOADS, SCHEMAS, FILE_SCHEMAS),
    *(one.table for one in WORKSPACE_TABLES),
    READINGS,
    *(BUILDS, FAILED_TESTS, LATE_HOURS),
    *(DELIVERIES, REJECTIONS, DECLARATIONS, APPLIED_PLANS, APPROVALS, EXISTENCE, OPERATIONS),
    *(OBSERVATIONS, OBSERVED_UNTIL, CDI_RUNS, REQUEST_USAGE),
    *(TOMBSTONES, PENDING, LEFT, ERASURE_APPROVALS, PROGRESS),
)
#: Tables of which each sync has one.
SYNC_TABLES = (LEDGER, LEASE, PLAN, PLAN_OBJECTS, REKEYED, RETYPED, CDI, CDI_STAGED)
DATASETS = (PLATFORM, CURRENTS_LEDGER, WORKSPACE, MARTS_LEDGER, BRAZE_SYNC, PRIVACY)


def all_tables() -> Iterator[Table]:
    """Every table of the platform, dataset by dataset; those of a sync under the names of their templates."""
    for dataset in DATASETS:
        yield from (table for table in (*TABLES, *SYNC_TABLES) if table.dataset == dataset)
