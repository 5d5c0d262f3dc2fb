{#- A raw table of one Currents event type as clean events: one row per event id, typed, without test events and without those
    that cannot be used (see is_unusable_event).

    relation:  source('currents', <table>)
    fields:    fields of the event type that are kept under their own names; a blank one that ends in _id is null
    computed:  further columns, name to SQL over the raw fields
    shape:     fields of which a test event shows itself by holding a UUID (see is_test_event)

    Braze delivers at least once: the same event can come twice, in one hour, in two, or months apart. The copy that came first
    stays (by hour, then by file), so that a row does not move when a later copy arrives. A build of some hours looks for
    earlier copies among the events that are staged already, in the hours that may hold one (see staged_copies).

    `day` is the UTC day on which an event counts in daily tables: that of event_at, or, for an event that came more than
    var late_event_days after it happened, the earliest day that was still open when it came. -#}
{% macro staged_event(relation, fields=[], computed={}, shape=[], has_external_id=true) -%}
    select
        id as event_id,
        {{ blank_to_null("user_id") }} as braze_user_id,
        {% if has_external_id %}
            {{ blank_to_null("external_user_id") }} as external_id,
        {% endif %}
        {{ epoch_to_timestamp("time") }} as event_at,
        greatest(
            cast({{ epoch_to_timestamp("time") }} as date),
            cast({{ days_after("_hour", -var("late_event_days")) }} as date)
        ) as day,
        _hour as delivered_hour,
        {%- for field in fields %}
            {{ blank_to_null(field) ~ " as " ~ field if field.endswith("_id") else field }},
        {% endfor %}
        {%- for name, expression in computed.items() %}
            {{ expression }} as {{ name }},
        {% endfor %}
        _file as source_file
    from {{ relation }}
    where
        not {{ is_unusable_event() }}
        and not {{ is_test_event(shape) }}
        and {{ in_rebuild_window("_hour") }}
        {%- if is_incremental() %} and id not in ({{ staged_copies() }}) {%- endif %}
    qualify row_number() over (partition by id order by _hour, _file, time, user_id) = 1
{%- endmacro %}

{#- Ids of the events that are staged already and stay, in the hours in which a copy of an event of the hours that are done
    again may lie. Copies carry the same `time`, and nearly all come within var duplicates_look_back_days; where the hours hold
    events that came later than that after they happened, the platform passes in which hours the other copies can lie. -#}
{% macro staged_copies() -%}
    select event_id
    from {{ this }}
    where
        event_id is not null
        and not {{ in_rebuild_window("delivered_hour") }}
        and {{ may_hold_copies("delivered_hour") }}
{%- endmacro %}

{% macro may_hold_copies(column, more_days=0) -%}
    {%- if not is_incremental() or requested_ranges() is none -%}
        {{ return("true") }}
    {%- endif -%}
    {%- set near = in_rebuild_window(
        column,
        before_days=var("duplicates_look_back_days") + more_days,
        after_days=more_days,
    ) -%}
    {%- set far = (run_context("copies") or {}).get(model.alias, []) -%}
    {{ return("(" ~ near ~ " or " ~ in_hour_ranges(far, column) ~ ")" if far else near) }}
{%- endmacro %}

{#- Whether a raw event cannot be counted: it has no id, or its time is none: missing, negative, or not in whole seconds. -#}
{% macro is_unusable_event() -%}
    (not {{ is_epoch_time("time") }} or {{ blank_to_null("id") }} is null)
{%- endmacro %}

{#- Whether a raw event is one of Braze's "test events": type-correct nonsense that the dashboard's button "Send test
    events" writes through the same connector, without any mark. The rule: the id of all of Braze's sample records, or a field
    whose real values we know the form of (time zone, platform, currency, ...) holds a UUID, or the time lies before Braze
    existed (2011) or two days or more after the hour in which the event was delivered. -#}
{% macro is_test_event(shape) -%}
    (
        coalesce(id = 'f47ac10b-58cc-4372-a567-0e02b2c3d479', false)
        or coalesce(time < 1293840000, true)
        or time >= {{ epoch_seconds("_hour") }} + {{ 2 * 86400 }}
        {%- for field in shape %}
            or coalesce(
                {{ matches(field, "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$") }},
                false
            )
        {%- endfor %}
    )
{%- endmacro %}
