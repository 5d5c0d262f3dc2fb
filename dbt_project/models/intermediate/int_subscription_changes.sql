{#- Changes of subscriptions are rare events, and what one of them changed depends on the one before: they are read whole. -#}
with
    events as (
        select
            event_id,
            'channel' as subject_kind,
            coalesce(lower(channel), 'unknown') as channel,
            cast(null as {{ column_type("string") }}) as subscription_group_id,
            subscription_status,
            state_change_source,
            campaign_id,
            canvas_id,
            canvas_step_id,
            braze_user_id,
            event_at,
            day,
            delivered_hour
        from {{ ref("stg_currents__users_behaviors_subscription_global_state_change") }}
        union all
        select
            event_id,
            'subscription_group' as subject_kind,
            coalesce(lower(channel), 'unknown') as channel,
            subscription_group_id,
            subscription_status,
            state_change_source,
            campaign_id,
            canvas_id,
            canvas_step_id,
            braze_user_id,
            event_at,
            day,
            delivered_hour
        from {{ ref("stg_currents__users_behaviors_subscriptiongroup_state_change") }}
    ),
    states as (
        select
            events.event_id,
            identity.user_key,
            identity.is_deleted as is_deleted_user,
            events.subject_kind,
            events.channel,
            events.subscription_group_id,
            coalesce(events.subscription_group_id, events.channel) as subject,
            replace(lower(trim(events.subscription_status)), ' ', '_') as status,
            events.state_change_source,
            events.campaign_id,
            events.canvas_id,
            events.canvas_step_id,
            events.event_at,
            events.day
        from events
        inner join
            {{ ref("int_user_identity") }} as identity
            on events.braze_user_id = identity.braze_user_id
        where true
        {# Of two in one second the one that was delivered last counts. -#}
        qualify
            row_number() over (
                partition by
                    identity.user_key,
                    identity.is_deleted,
                    events.subject_kind,
                    coalesce(events.subscription_group_id, events.channel),
                    events.event_at
                order by events.delivered_hour desc, events.event_id desc
            )
            = 1
    ),
    ordered as (
        select
            *,
            lag(status) over (
                partition by user_key, is_deleted_user, subject_kind, subject
                order by event_at
            ) as previous_status
        from states
    )
select
    event_id,
    user_key,
    is_deleted_user,
    subject_kind,
    channel,
    subscription_group_id,
    subject,
    status,
    previous_status,
    state_change_source,
    campaign_id,
    canvas_id,
    canvas_step_id,
    event_at as changed_at,
    day
from ordered
where previous_status is null or previous_status <> status
