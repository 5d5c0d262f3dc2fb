"""The tables of the workspace's objects, a row per version of an object. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from braze_platform.warehouse.tables import Column, Dataset, Table, flag, number, text, time

WORKSPACE = Dataset(
    "braze_workspace", "What Braze's export endpoints return of the workspace's objects, with history."
)
SCHEMA = WORKSPACE.name


@dataclass(frozen=True)
class ObjectTable:
    """One kind of object: one row per version of an object; `valid_to` of the current version is null."""

    name: str
    #: What one object is called, for sentences.
    noun: str
    description: str
    key: Column
    #: What makes a version: a new value in one of these closes the version before and begins another.
    values: tuple[Column, ...]

    @property
    def table(self) -> Table:
        """The table in the warehouse."""
        return WORKSPACE.table(self.name, self.description, self.key, *self.values, *VERSION_COLUMNS)

    @property
    def named(self) -> bool:
        """Whether its objects have a name beside their key."""
        return any(column.name == "name" for column in self.values)


#: What says when a version held, the same in all tables.
VERSION_COLUMNS = (
    time("first_seen_at", "When the object was first read from Braze (UTC)."),
    time(
        "valid_from",
        "When this version began (UTC): Braze's own time of the edit, or of reading where Braze gives none.",
    ),
    time(
        "valid_to",
        "When this version ended (UTC): the next one's beginning, or when the object was gone. Null: it holds now.",
    ),
)

_NAME = text("name", "Name in the dashboard.")
_TAGS = text("tags", "Names of its tags: a JSON array of texts, sorted.")
_CHANNELS = text("channels", "Channels it sends by, in the export's words: a JSON array of texts, sorted.")
_TEAMS = text("teams", "Names of the teams it belongs to: a JSON array of texts, sorted.")
_CREATED = time("created_at", "When it was made (UTC).")
_UPDATED = time("updated_at", "When it was last edited (UTC).")
_LIFECYCLE = (
    text("schedule_type", "How it is triggered: time_based, action_based or api_triggered."),
    text("schedule", "All that Braze returns of the schedule, as a JSON object."),
    flag("is_archived", "Whether it was archived."),
    flag("is_draft", "Whether it is a draft."),
    flag("is_enabled", "Whether it is switched on; null where Braze does not say."),
    _CREATED,
)

CAMPAIGNS = ObjectTable(
    "campaigns",
    "campaign",
    "Campaigns of the workspace, archived and drafts too: one row per version of a campaign.",
    text("campaign_id", "API id of the campaign, as in Currents."),
    (
        _NAME,
        text("description", "Description in the dashboard."),
        _TAGS,
        _CHANNELS,
        _TEAMS,
        text("conversion_behaviors", "Conversion events A to D in order: a JSON array of objects."),
        flag("is_api_campaign", "Whether it is an API campaign."),
        *_LIFECYCLE,
        time("first_sent_at", "When it was first sent (UTC), as of the last reading."),
        _UPDATED,
    ),
)
CANVASES = ObjectTable(
    "canvases",
    "canvas",
    "Canvases of the workspace, archived and drafts too: one row per version of a canvas.",
    text("canvas_id", "API id of the canvas, as in Currents."),
    (
        _NAME,
        text("description", "Description in the dashboard."),
        _TAGS,
        _CHANNELS,
        _TEAMS,
        *_LIFECYCLE,
        time("first_entry_at", "When somebody first entered it (UTC), as of the last reading."),
        _UPDATED,
    ),
)
CANVAS_VARIANTS = ObjectTable(
    "canvas_variants",
    "canvas variant",
    "Variants of canvases, the control group too: one row per version of a variant.",
    text("canvas_variation_id", "API id of the variant, as in Currents."),
    (
        text("canvas_id", "API id of its canvas."),
        _NAME,
        text("first_step_ids", "API ids of the steps it begins with: a JSON array of texts."),
    ),
)
CANVAS_STEPS = ObjectTable(
    "canvas_steps",
    "canvas step",
    "Steps of canvases: one row per version of a step.",
    text("canvas_step_id", "API id of the step, as in Currents."),
    (
        text("canvas_id", "API id of its canvas."),
        _NAME,
        text("step_type", "Type of the canvas component."),
        _CHANNELS,
        text("next_paths", "Where it leads: a JSON array of objects with name and next_step_id."),
    ),
)
MESSAGE_VARIATIONS = ObjectTable(
    "message_variations",
    "message variation",
    "Messages of campaigns and of canvas steps, without their content: one row per version of a message.",
    text(
        "message_variation_id",
        "API id of the message: Currents' message_variation_id, or canvas_step_message_variation_id.",
    ),
    (
        text("campaign_id", "API id of its campaign; null for a canvas step's message."),
        text("canvas_id", "API id of its canvas; null for a campaign's message."),
        text("canvas_step_id", "API id of its canvas step; null for a campaign's message."),
        text("name", "Name in the dashboard; null where Braze gives none."),
        text("channel", "Channel, in the export's words."),
        flag("is_control", "Whether it stands for the control group."),
    ),
)
SEGMENTS = ObjectTable(
    "segments",
    "segment",
    "Segments of the workspace that are not archived: one row per version of a segment.",
    text("segment_id", "API id of the segment."),
    (
        _NAME,
        text("description", "Description in the dashboard."),
        text("filters", "Its filters, as Braze puts them into words."),
        _TAGS,
        _TEAMS,
        flag("is_analytics_tracked", "Whether its size is tracked over time."),
        _CREATED,
        _UPDATED,
    ),
)
CUSTOM_ATTRIBUTES = ObjectTable(
    "custom_attributes",
    "custom attribute",
    "Custom attributes that the workspace knows, with their types: one row per version of an attribute.",
    text("attribute_name", "Name of the attribute, exactly as profiles hold it."),
    (
        text("data_type", "Type in Braze's words; Braze detects it, or somebody has set it."),
        number("array_length", "Longest array that is kept; null for other types."),
        text("status", "Active or Blocklisted."),
        text("description", "Description in the dashboard."),
        _TAGS,
    ),
)

TABLES = (
    CAMPAIGNS,
    CANVASES,
    CANVAS_VARIANTS,
    CANVAS_STEPS,
    MESSAGE_VARIATIONS,
    SEGMENTS,
    CUSTOM_ATTRIBUTES,
)

#: Not for analysts.
READINGS = WORKSPACE.table(
    "_readings",
    "What the last reading of each object found.",
    text("endpoint", "Which list the object is in."),
    text("object_id", "Its id there."),
    text("entry_hash", "Hash of its list entry at the last reading."),
    time("read_at", "When it was last read (UTC)."),
    flag("settled", "Whether nothing of it changes without a change of its list entry."),
)
