{#- Counts raw rows of every event type that is staged, from the raw tables alone; whole days, since a day is the grain. -#}
{{
    config(
        materialized="incremental",
        on_schema_change="append_new_columns",
        unique_key="audit_key",
        partition_by={"field": "delivered_day", "data_type": "date", "granularity": "month"},
        meta={"rebuild": {"column": "delivered_day", "kind": "date"}},
    )
}}
-- depends_on: {{ ref('int_message_events') }}, {{ ref('int_message_sends') }}
with
    counts as (
        {%- for type in staged_event_types() %}
            select
                '{{ type.name }}' as event_type,
                cast(_hour as date) as delivered_day,
                {#- A test event names a workspace that is none. Where it cannot be told, no event names one. -#}
                {% if type.shape and type.has_workspace %}
                    case
                        when not {{ is_test_event(type.shape) }}
                        then {{ blank_to_null("app_group_id") }}
                    end as app_group_id,
                {% else %} cast(null as {{ column_type("string") }}) as app_group_id,
                {% endif %}
                count(*) as delivered_events,
                count(case when {{ is_unusable_event() }} then 1 end) as unusable_events
            from {{ source("currents", type.table) }}
            where
                {{ in_rebuild_window("_hour", before_days=1, after_days=1) }}
                and {{ in_rebuild_window("cast(_hour as date)", kind="date") }}
            group by 1, 2, 3 {{ "union all" if not loop.last }}
        {%- endfor %}
    )
select
    concat(
        cast(delivered_day as {{ column_type("string") }}),
        '|',
        event_type,
        '|',
        coalesce(app_group_id, '')
    ) as audit_key,
    delivered_day,
    event_type,
    app_group_id,
    {{ whole_sum("delivered_events") }} as delivered_events,
    {{ whole_sum("unusable_events") }} as unusable_events
from counts
group by audit_key, delivered_day, event_type, app_group_id
