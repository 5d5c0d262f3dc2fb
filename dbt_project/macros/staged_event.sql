{#- A raw table of one Currents event type as clean events: one row an event id, typed, without test events.

    relation:  source('currents', <table>)
    fields:    fields of the event type that are kept under their own names
    computed:  further columns, name to SQL over the raw fields
    shape:     fields of which a test event shows itself by holding a UUID (see is_test_event)

    Braze delivers at least once: the same event can come twice, in one hour or in two. The copy that came first stays
    (by hour, then by file), so that a row does not move when a later copy arrives. -#}
{% macro staged_event(relation, fields=[], computed={}, shape=[], has_external_id=true) -%}
    select
        id as event_id,
        user_id as braze_user_id,
        {% if has_external_id %} external_user_id as external_id, {% endif %}
        {{ epoch_to_timestamp("time") }} as event_at,
        _hour as delivered_hour,
        {%- for field in fields %} {{ field }}, {% endfor %}
        {%- for name, expression in computed.items() %}
            {{ expression }} as {{ name }},
        {% endfor %}
        _file as source_file
    from {{ relation }}
    where not {{ is_test_event(shape) }}
    qualify row_number() over (partition by id order by _hour, _file) = 1
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
