{#- A raw table of one Currents event type as clean events: one row an event id, typed, without test events.

    relation:  source('currents', <table>)
    fields:    fields of the event type that are kept under their own names
    computed:  further columns, name to SQL over the raw fields
    shape:     fields of which a test event shows itself by holding a UUID (see is_test_event)

    Braze delivers at least once: the same event can come twice, in one hour or in two. A copy that follows another one
    within var duplicates_look_back_days goes; the one that came first stays (by hour, then by file), so that a row does
    not move when a later copy arrives.

    `day` is the UTC day on which an event counts in daily tables: that of event_at, or, for an event that came more than
    var late_event_days after it happened, the earliest day that was still open when it came. -#}
{% macro staged_event(relation, fields=[], computed={}, shape=[], has_external_id=true) -%}
    {%- set look_back = var("duplicates_look_back_days") -%}
    select
        id as event_id,
        user_id as braze_user_id,
        {% if has_external_id %} external_user_id as external_id, {% endif %}
        {{ epoch_to_timestamp("time") }} as event_at,
        greatest(
            cast({{ epoch_to_timestamp("time") }} as date),
            cast({{ days_after("_hour", -var("late_event_days")) }} as date)
        ) as day,
        _hour as delivered_hour,
        {%- for field in fields %} {{ field }}, {% endfor %}
        {%- for name, expression in computed.items() %}
            {{ expression }} as {{ name }},
        {% endfor %}
        _file as source_file
    from {{ relation }}
    where
        not {{ is_test_event(shape) }} and {{ redone("_hour", before_days=look_back) }}
    qualify
        coalesce(
            lag(_hour) over (partition by id order by _hour, _file)
            < {{ days_after("_hour", -look_back) }},
            true
        )
        and {{ redone("_hour") }}
{%- endmacro %}

{#- Whether a raw event is one of Braze's "test events": type-correct nonsense that the dashboard's button "Send test
    events" writes through the same connector, without any mark. The rule: a field whose real values we know the form of
    (time zone, platform, currency, ...) holds a UUID, or the time lies before Braze existed (2011) or two days or more after
    the hour in which the event was delivered. -#}
{% macro is_test_event(shape) -%}
    (
        time < 1293840000
        or {{ epoch_to_timestamp("time") }} >= {{ days_after("_hour", 2) }}
        {%- for field in shape %}
            or coalesce(
                {{ matches(field, "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$") }},
                false
            )
        {%- endfor %}
    )
{%- endmacro %}
