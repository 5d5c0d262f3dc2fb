{#- Counts raw rows and those of every layer above, each from its own table; whole days, since a day is the grain. -#}
{%- set look_back = var("duplicates_look_back_days") -%}
{{
    config(
        materialized="incremental",
        unique_key="audit_key",
        partition_by={"field": "delivered_day", "data_type": "date", "granularity": "month"},
        meta={"rebuild": {"column": "delivered_day", "kind": "date"}},
    )
}}
{%- set counted = [
    "delivered_events",
    "unusable_events",
    "test_events",
    "repeated_copies",
    "clean_events",
    "message_events",
    "sends",
    "kept_sends",
] -%}
{%- set loaded_since = days_loaded_since(look_back) -%}
with
    counts as (
        {%- for type in message_types() %}
            select
                '{{ type.channel }}' as channel,
                '{{ type.action }}' as action,
                cast(_hour as date) as delivered_day,
                count(*) as delivered_events,
                count(case when is_unusable then 1 end) as unusable_events,
                count(case when not is_unusable and is_test then 1 end) as test_events,
                count(
                    case
                        when
                            not is_unusable
                            and not is_test
                            and (position_in_hour > 1 or staged_hour < _hour)
                        then 1
                    end
                ) as repeated_copies,
                0 as clean_events,
                0 as message_events,
                0 as sends,
                0 as kept_sends
            from
                (
                    select
                        _hour,
                        {{ is_unusable_event() }} as is_unusable,
                        {{ is_test_event(type.shape) }} as is_test,
                        row_number() over (
                            partition by
                                id,
                                _hour,
                                {{ is_unusable_event() }},
                                {{ is_test_event(type.shape) }}
                            order by _file, time, user_id
                        ) as position_in_hour,
                        staged_hour
                    from {{ source("currents", type.table) }}
                    left join
                        (
                            select event_id, min(delivered_hour) as staged_hour
                            from {{ ref("stg_currents__" ~ type.table) }}
                            where {{ may_hold_copies("delivered_hour", more_days=1) }}
                            group by event_id
                        ) as staged
                        on id = event_id
                    where
                        {{ in_rebuild_window("_hour", before_days=1, after_days=1) }}
                        and {{ in_rebuild_window("cast(_hour as date)", kind="date") }}
                ) as copies
            group by cast(_hour as date)
            union all
            select
                '{{ type.channel }}' as channel,
                '{{ type.action }}' as action,
                cast(delivered_hour as date) as delivered_day,
                0 as delivered_events,
                0 as unusable_events,
                0 as test_events,
                0 as repeated_copies,
                count(*) as clean_events,
                0 as message_events,
                0 as sends,
                0 as kept_sends
            from {{ ref("stg_currents__" ~ type.table) }}
            where
                {{ in_rebuild_window("delivered_hour", before_days=1, after_days=1) }}
                and {{ in_rebuild_window("cast(delivered_hour as date)", kind="date") }}
            group by cast(delivered_hour as date)
            union all
        {%- endfor %}
        select
            channel,
            action,
            cast(delivered_hour as date) as delivered_day,
            0 as delivered_events,
            0 as unusable_events,
            0 as test_events,
            0 as repeated_copies,
            0 as clean_events,
            count(*) as message_events,
            count(case when is_send then 1 end) as sends,
            0 as kept_sends
        from {{ ref("int_message_events") }}
        where
            {{ in_rebuild_window("delivered_hour", before_days=1, after_days=1) }}
            and {{ in_rebuild_window("cast(delivered_hour as date)", kind="date") }}
        group by channel, action, cast(delivered_hour as date)
        union all
        select
            channel,
            case
                when channel in ('in_app_message', 'banner', 'feature_flag')
                then 'impression'
                else 'send'
            end as action,
            cast(delivered_hour as date) as delivered_day,
            0 as delivered_events,
            0 as unusable_events,
            0 as test_events,
            0 as repeated_copies,
            0 as clean_events,
            0 as message_events,
            0 as sends,
            count(*) as kept_sends
        from {{ ref("int_message_sends") }}
        where
            {{ in_rebuild_window("delivered_hour", before_days=1, after_days=1) }}
            and {{ in_rebuild_window("cast(delivered_hour as date)", kind="date") }}
        group by channel, cast(delivered_hour as date)
    ),
    days as (
        select
            channel,
            action,
            delivered_day
            {%- for column in counted %}
                , {{ whole_sum(column) }} as {{ column }}
            {%- endfor %}
        from counts
        group by channel, action, delivered_day
    )
select
    concat(
        cast(delivered_day as {{ column_type("string") }}), '|', channel, '|', action
    ) as audit_key,
    delivered_day,
    channel,
    action,
    {%- for column in counted %} {{ column }}, {%- endfor %}
    delivered_events
    - unusable_events
    - test_events
    - repeated_copies
    - clean_events as events_lost_in_staging,
    clean_events - message_events as events_lost_in_union,
    sends - kept_sends as sends_lost
from days
where
    true
    {%- if loaded_since %} and delivered_day not in ({{ loaded_since }}) {%- endif %}
    {#- Of a day and type that the raw tables have forgotten, nothing can be said but what was said before. -#}
    {%- if is_built_beside_kept_hours() %} and delivered_events > 0 {%- endif %}
