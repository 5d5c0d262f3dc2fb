{#- A raw table of one message event type as clean events, in the one shape that all message events share (see
    staged_event): a field that the type lacks is null, and no flag is null.

    absent:                  shared fields that this event type does not have
    is_machine_open:         SQL over raw fields: opened by a machine (e.g. Apple Mail Privacy Protection), not a person
    is_suspected_bot_click:  SQL over raw fields: Braze suspects that a scanner clicked, not a person
    failure_code:            SQL over raw fields: why it was not delivered
    sender:                  e-mail only: the fields about the sending side that the type has
    attempt_count:           e-mail only: SQL over raw fields -#}
{% macro staged_message(
    relation,
    absent=[],
    shape=["timezone"],
    is_machine_open="false",
    is_suspected_bot_click="false",
    failure_code="null",
    sender=none,
    attempt_count="null"
) -%}
    {%- set text = column_type("string") -%}
    {%- set computed = {} -%}
    {%- set fields = message_fields() -%}
    {%- for field in fields if field in absent %}
        {%- do computed.update({field: "cast(null as " ~ text ~ ")"}) -%}
    {%- endfor %}
    {%- do computed.update(
        {
            "is_machine_open": is_machine_open,
            "is_suspected_bot_click": is_suspected_bot_click,
            "failure_code": "cast(" ~ failure_code ~ " as " ~ text ~ ")",
        }
    ) -%}
    {%- if sender is not none -%}
        {%- for field in sender_fields() %}
            {%- do computed.update({field: field if field in sender else "cast(null as " ~ text ~ ")"}) -%}
        {%- endfor %}
        {%- do computed.update({"attempt_count": "cast(" ~ attempt_count ~ " as " ~ column_type("integer") ~ ")"}) -%}
    {%- endif -%}
    {{ staged_event(relation, fields | reject("in", absent) | list, computed, shape) }}
{%- endmacro %}
