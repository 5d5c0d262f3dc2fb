with
    outcomes as (
        select
            links.send_event_id,
            links.link_method,
            messages.action,
            messages.event_at,
            messages.is_human_response,
            messages.is_machine_open,
            messages.is_suspected_bot_click
        from {{ ref("int_message_links") }} as links
        inner join
            {{ ref("int_message_events") }} as messages
            on links.outcome_event_id = messages.event_id
    ),
    per_send as (
        select
            send_event_id,
            case
                when min(link_method) = max(link_method)
                then min(link_method)
                else 'mixed'
            end as link_method,
            min(case when action = 'delivery' then event_at end) as delivered_at,
            min(
                case when action = 'open' and is_human_response then event_at end
            ) as first_human_open_at,
            min(case when is_machine_open then event_at end) as first_machine_open_at,
            min(
                case when action = 'click' and is_human_response then event_at end
            ) as first_human_click_at,
            min(
                case when is_suspected_bot_click then event_at end
            ) as first_bot_click_at,
            min(
                case when action in ('bounce', 'failure') then event_at end
            ) as failed_at,
            min(case when action = 'soft_bounce' then event_at end) as soft_bounced_at,
            min(case when action = 'unsubscribe' then event_at end) as unsubscribed_at,
            min(case when action = 'spam' then event_at end) as marked_as_spam_at,
            sum(case when is_human_response then 1 else 0 end) as human_responses,
            sum(
                case when action = 'open' and is_human_response then 1 else 0 end
            ) as human_opens,
            sum(case when is_machine_open then 1 else 0 end) as machine_opens,
            sum(
                case when action = 'click' and is_human_response then 1 else 0 end
            ) as human_clicks,
            sum(case when is_suspected_bot_click then 1 else 0 end) as bot_clicks
        from outcomes
        group by send_event_id
    )
select
    sends.event_id as send_event_id,
    sends.channel,
    sends.event_at as sent_at,
    sends.delivered_hour,
    identity.user_key,
    identity.is_deleted as is_deleted_user,
    sends.campaign_id,
    sends.canvas_id,
    sends.canvas_step_id,
    sends.message_variation_id,
    sends.dispatch_id,
    sends.send_id,
    sends.app_id,
    coalesce(per_send.link_method, 'no_outcome') as link_method,
    per_send.delivered_at,
    per_send.failed_at,
    per_send.soft_bounced_at,
    per_send.first_human_open_at,
    per_send.first_machine_open_at,
    per_send.first_human_click_at,
    per_send.first_bot_click_at,
    per_send.unsubscribed_at,
    per_send.marked_as_spam_at,
    {{ seconds_between("sends.event_at", "per_send.delivered_at") }}
    as seconds_to_delivery,
    {{ seconds_between("sends.event_at", "per_send.first_human_open_at") }}
    as seconds_to_human_open,
    {{ seconds_between("sends.event_at", "per_send.first_human_click_at") }}
    as seconds_to_human_click,
    coalesce(per_send.human_responses, 0) as human_responses,
    coalesce(per_send.human_opens, 0) as human_opens,
    coalesce(per_send.machine_opens, 0) as machine_opens,
    coalesce(per_send.human_clicks, 0) as human_clicks,
    coalesce(per_send.bot_clicks, 0) as bot_clicks
from {{ ref("int_message_events") }} as sends
left join
    {{ ref("int_user_identity") }} as identity
    on sends.braze_user_id = identity.braze_user_id
left join per_send on sends.event_id = per_send.send_event_id
where sends.is_send
