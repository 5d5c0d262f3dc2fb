{#- A raw table of one message event type as clean events, in the one shape that all message events share (see
    staged_event): a field that the type lacks is null, and no flag is null.

    absent:                  shared fields that this event type does not have
    is_machine_open:         SQL over raw fields: opened by a machine (e.g. Apple Mail Privacy Protection), not a person
    is_suspected_bot_click:  SQL over raw fields: Braze suspects that a scanner clicked, not a person -#}
{% macro staged_message(
    relation, absent=[], shape=["timezone"], is_machine_open="false", is_suspected_bot_click="false"
) -%}
    {%- set computed = {} -%}
    {%- set fields = [
        "campaign_id",
        "campaign_name",
        "message_variation_id",
        "message_variation_name",
        "canvas_id",
        "canvas_name",
        "canvas_step_id",
        "canvas_step_name",
        "dispatch_id",
        "send_id",
        "app_id",
    ] -%}
    {%- for field in fields if field in absent %}
        {%- do computed.update({field: "cast(null as " ~ column_type("string") ~ ")"}) -%}
    {%- endfor %}
    {%- do computed.update(
        {"is_machine_open": is_machine_open, "is_suspected_bot_click": is_suspected_bot_click}
    ) -%}
    {{ staged_event(relation, fields | reject("in", absent) | list, computed, shape) }}
{%- endmacro %}
