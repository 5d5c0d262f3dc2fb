{#- Start and end of a session lie at most session_window_days apart as they happened; as they were delivered, late_event_days
    more, and a start may even be delivered so many days after its end. All sessions that an end in the changed hours can
    belong to are reprocessed. -#}
{%- set late = var("late_event_days") -%}
{%- set window = var("session_window_days") -%}
{%- set reach = window + late -%}
{{
    config(
        materialized="incremental",
        unique_key="session_start_event_id",
        partition_by={"field": "delivered_hour", "data_type": "timestamp", "granularity": "day"},
        cluster_by=["braze_user_id"],
        meta={
            "rebuild": {
                "column": "delivered_hour",
                "before_days": reach,
                "after_days": late,
            }
        },
    )
}}
with
    starts as (
        {# Further than the reprocessed sessions: an end is that of the nearest start, which may lie outside. -#}
        select *
        from {{ ref("stg_currents__users_behaviors_app_session_start") }}
        where
            {{ in_rebuild_window("delivered_hour", before_days=2 * reach + late, after_days=2 * late + reach) }}
    ),
    ends as (
        select *
        from {{ ref("stg_currents__users_behaviors_app_session_end") }}
        where
            {{ in_rebuild_window("delivered_hour", before_days=reach + late, after_days=late + reach) }}
    ),
    pairs as (
        select
            starts.event_id as session_start_event_id,
            ends.event_id as session_end_event_id,
            ends.event_at as ended_at,
            ends.duration_seconds as device_duration_seconds
        from ends
        inner join starts on ends.session_id = starts.session_id
        where
            ends.event_at >= starts.event_at
            and ends.event_at <= {{ days_after("starts.event_at", window) }}
            and ends.delivered_hour
            between {{ days_after("starts.delivered_hour", -late) }}
            and {{ days_after("starts.delivered_hour", reach) }}
        qualify
            row_number() over (
                partition by ends.event_id
                order by starts.event_at desc, starts.event_id
            )
            = 1
    ),
    sessions_ends as (
        select *
        from pairs
        where true
        qualify
            row_number() over (
                partition by session_start_event_id
                order by ended_at desc, session_end_event_id
            )
            = 1
    )
select
    starts.event_id as session_start_event_id,
    sessions_ends.session_end_event_id,
    starts.session_id,
    starts.braze_user_id,
    starts.event_at as started_at,
    sessions_ends.ended_at,
    {{ seconds_between("starts.event_at", "sessions_ends.ended_at") }}
    as duration_seconds,
    sessions_ends.device_duration_seconds,
    starts.day,
    starts.delivered_hour,
    starts.app_id,
    starts.platform
from starts
left join sessions_ends on starts.event_id = sessions_ends.session_start_event_id
where
    {{ in_rebuild_window("starts.delivered_hour", before_days=reach, after_days=late) }}
