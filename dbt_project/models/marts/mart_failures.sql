{#- A day stays open for late_event_days: an event that comes later counts on the earliest open day (see staged_event). -#}
{%- set late = var("late_event_days") -%}
{{
    config(
        materialized="incremental",
        unique_key="failure_day_key",
        partition_by={"field": "day", "data_type": "date", "granularity": "month"},
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
with
    messages as (
        select
            day,
            channel,
            campaign_id,
            canvas_id,
            canvas_step_id,
            action,
            failure_code,
            braze_user_id,
            is_send
        from {{ ref("int_message_events") }}
        where
            {{ in_rebuild_window("day", before_days=late, after_days=2, kind="date") }}
            and {{ in_rebuild_window("delivered_hour", before_days=late + 2, after_days=late + 3) }}
            and (
                is_send
                or action
                in ('abort', 'retry', 'failure', 'bounce', 'soft_bounce', 'deferral')
            )
    ),
    sends as (
        select
            day,
            channel,
            coalesce(campaign_id, '') as campaign,
            coalesce(canvas_step_id, '') as step,
            count(*) as sends
        from messages
        where is_send
        group by day, channel, coalesce(campaign_id, ''), coalesce(canvas_step_id, '')
    ),
    failures as (
        select
            day,
            channel,
            action,
            failure_code,
            campaign_id,
            max(canvas_id) as canvas_id,
            canvas_step_id,
            count(*) as events,
            count(distinct braze_user_id) as users
        from messages
        where not is_send
        group by day, channel, action, failure_code, campaign_id, canvas_step_id
    )
select
    concat(
        cast(failures.day as {{ column_type("string") }}),
        '|',
        failures.channel,
        '|',
        failures.action,
        '|',
        coalesce(failures.failure_code, ''),
        '|',
        coalesce(failures.campaign_id, ''),
        '|',
        coalesce(failures.canvas_step_id, '')
    ) as failure_day_key,
    failures.day,
    failures.channel,
    failures.action,
    failures.failure_code,
    failures.campaign_id,
    failures.canvas_id,
    failures.canvas_step_id,
    failures.events,
    failures.users,
    coalesce(sends.sends, 0) as sends,
    failures.events * 1.0 / nullif(sends.sends, 0) as share_of_sends
from failures
left join
    sends
    on failures.day = sends.day
    and failures.channel = sends.channel
    and coalesce(failures.campaign_id, '') = sends.campaign
    and coalesce(failures.canvas_step_id, '') = sends.step
