with
    messages as (
        select
            cast(event_at as date) as day,
            channel,
            campaign_id,
            canvas_step_id,
            message_variation_id,
            braze_user_id,
            action,
            is_send,
            is_human_response,
            is_machine_open,
            is_suspected_bot_click
        from {{ ref("int_message_events") }}
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
        coalesce(message_variation_id, '')
    ) as message_day_key,
    day,
    channel,
    campaign_id,
    canvas_step_id,
    message_variation_id,
    sum(case when is_send then 1 else 0 end) as sends,
    count(distinct case when is_send then braze_user_id end) as users_sent,
    sum(case when action = 'delivery' then 1 else 0 end) as delivery_events,
    count(
        distinct case when action = 'open' and is_human_response then braze_user_id end
    ) as unique_human_opens,
    sum(case when is_machine_open then 1 else 0 end) as machine_opens,
    count(
        distinct case when action = 'click' and is_human_response then braze_user_id end
    ) as unique_human_clicks,
    sum(case when is_suspected_bot_click then 1 else 0 end) as suspected_bot_clicks,
    sum(case when action = 'bounce' then 1 else 0 end) as bounces,
    sum(case when action = 'soft_bounce' then 1 else 0 end) as soft_bounces,
    sum(case when action = 'failure' then 1 else 0 end) as failures,
    sum(case when action = 'unsubscribe' then 1 else 0 end) as unsubscribes,
    sum(case when action = 'spam' then 1 else 0 end) as spam_reports,
    sum(case when action = 'inbound' then 1 else 0 end) as inbound_messages
from messages
group by day, channel, campaign_id, canvas_step_id, message_variation_id
