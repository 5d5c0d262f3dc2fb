{#- A day stays open for late_event_days: an event that comes later counts on the earliest open day (see staged_event). -#}
{%- set late = var("late_event_days") -%}
{{
    config(
        materialized="incremental",
        unique_key="message_day_key",
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
            message_variation_id,
            app_id,
            braze_user_id,
            action,
            is_send,
            is_human_response,
            is_machine_open,
            is_suspected_bot_click
        from {{ ref("int_message_events") }}
        where
            {{ in_rebuild_window("day", before_days=late, after_days=2, kind="date") }}
            and {{ in_rebuild_window("delivered_hour", before_days=late + 2, after_days=late + 3) }}
    )
select
    concat(
        cast(day as {{ column_type("string") }}),
        '|',
        channel,
        '|',
        coalesce(campaign_id, ''),
        '|',
        coalesce(canvas_step_id, ''),
        '|',
        coalesce(message_variation_id, ''),
        '|',
        coalesce(app_id, '')
    ) as message_day_key,
    day,
    channel,
    campaign_id,
    max(canvas_id) as canvas_id,
    canvas_step_id,
    message_variation_id,
    app_id,
    count(case when is_send then 1 end) as sends,
    count(distinct case when is_send then braze_user_id end) as users_sent,
    count(case when action = 'delivery' then 1 end) as delivery_events,
    count(
        case when action in ('open', 'read') and is_human_response then 1 end
    ) as human_opens,
    count(
        distinct case
            when action in ('open', 'read') and is_human_response then braze_user_id
        end
    ) as unique_human_opens,
    count(case when is_machine_open then 1 end) as machine_opens,
    count(case when action = 'click' and is_human_response then 1 end) as human_clicks,
    count(
        distinct case when action = 'click' and is_human_response then braze_user_id end
    ) as unique_human_clicks,
    count(case when is_suspected_bot_click then 1 end) as suspected_bot_clicks,
    count(case when action = 'bounce' then 1 end) as bounces,
    count(case when action = 'soft_bounce' then 1 end) as soft_bounces,
    count(case when action = 'deferral' then 1 end) as deferrals,
    count(case when action = 'failure' then 1 end) as failures,
    count(case when action = 'abort' then 1 end) as aborts,
    count(case when action = 'retry' then 1 end) as retries,
    count(case when action = 'dismiss' then 1 end) as dismissals,
    count(case when action = 'unsubscribe' then 1 end) as unsubscribes,
    count(case when action = 'spam' then 1 end) as spam_reports,
    count(case when action = 'inbound' then 1 end) as inbound_messages
from messages
group by day, channel, campaign_id, canvas_step_id, message_variation_id, app_id
