{#- A day stays open for late_event_days: an event that comes later counts on the earliest open day (see staged_event). -#}
{%- set late = var("late_event_days") -%}
{{
    config(
        materialized="incremental",
        unique_key="session_day_key",
        partition_by={"field": "day", "data_type": "date", "granularity": "month"},
        cluster_by=["braze_user_id"],
        meta={
            "rebuild": {
                "column": "day",
                "kind": "date",
                "before_days": late,
                "after_days": 2,
            }
        },
    )
}}
select
    concat(
        braze_user_id, '|', cast(day as {{ column_type("string") }})
    ) as session_day_key,
    day,
    braze_user_id,
    count(*) as sessions
from {{ ref("stg_currents__users_behaviors_app_session_start") }}
where
    braze_user_id is not null
    and {{ in_rebuild_window("day", before_days=late, after_days=2, kind="date") }}
    and {{ in_rebuild_window("delivered_hour", before_days=late + 2, after_days=late + 3) }}
group by day, braze_user_id
