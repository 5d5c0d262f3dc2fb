with
    events as (
        select
            messages.event_id,
            messages.channel,
            messages.event_at,
            messages.dispatch_id,
            messages.is_send,
            identity.user_key,
            coalesce(messages.canvas_step_id, messages.campaign_id) as content_id,
            coalesce(messages.message_variation_id, '') as variation
        from {{ ref("int_message_events") }} as messages
        inner join
            {{ ref("int_user_identity") }} as identity
            on messages.braze_user_id = identity.braze_user_id
    ),
    sends as (
        select event_id, channel, event_at, dispatch_id, user_key, content_id, variation
        from events
        where is_send
    ),
    outcomes as (
        select event_id, channel, event_at, dispatch_id, user_key, content_id, variation
        from events
        where not is_send
    ),
    candidates as (
        select
            outcomes.event_id as outcome_event_id,
            sends.event_id as send_event_id,
            'dispatch_id' as link_method,
            {# One dispatch can hold several sends to a user, e.g. a push to each device: the nearest one before counts, one
               that is logged after its outcome only when there is no other. -#}
            case when sends.event_at <= outcomes.event_at then 0 else 1 end as is_after,
            abs(
                {{ seconds_between("sends.event_at", "outcomes.event_at") }}
            ) as seconds_apart
        from outcomes
        inner join
            sends
            on outcomes.user_key = sends.user_key
            and outcomes.channel = sends.channel
            and outcomes.dispatch_id = sends.dispatch_id
        union all
        select
            outcomes.event_id as outcome_event_id,
            sends.event_id as send_event_id,
            'nearest_send' as link_method,
            0 as is_after,
            {{ seconds_between("sends.event_at", "outcomes.event_at") }}
            as seconds_apart
        from outcomes
        inner join
            sends
            on outcomes.user_key = sends.user_key
            and outcomes.channel = sends.channel
            and outcomes.content_id = sends.content_id
            and outcomes.variation = sends.variation
        where
            (outcomes.dispatch_id is null or sends.dispatch_id is null)
            and sends.event_at <= outcomes.event_at
            and {{ days_after("sends.event_at", var("link_window_days")) }}
            >= outcomes.event_at
    )
select outcome_event_id, send_event_id, link_method, seconds_apart
from candidates
where true
qualify
    row_number() over (
        partition by outcome_event_id
        order by link_method, is_after, seconds_apart, send_event_id
    )
    = 1
