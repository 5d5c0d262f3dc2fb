{#- Events are read in the last engagement_window_days; what is older comes from the states of profiles, tokens and
    subscriptions, one row per profile and thing, which are read whole. -#}
{%- set window = var("engagement_window_days") -%}
{%- set since_window = days_after(latest_hour(ref("int_message_events")), -window) -%}
{%- set addressed = ["email", "sms", "whatsapp", "rcs", "line"] -%}
{%- set in_app = ["in_app_message", "content_card", "banner"] -%}
with
    clock as (
        {# The data's own clock: the same data give the same result, whenever it is computed. -#}
        select {{ latest_hour(ref("int_message_events")) }} as latest_hour
    ),
    identity as (
        select braze_user_id, user_key
        from {{ ref("int_user_identity") }}
        where not is_deleted
    ),
    counts as (
        select
            identity.user_key,
            events.channel,
            {%- for days in [7, 30, 90] %}
                count(
                    case
                        when
                            events.is_send
                            and events.event_at
                            > {{ days_after("clock.latest_hour", -days) }}
                        then 1
                    end
                ) as sends_{{ days }}d,
                count(
                    case
                        when
                            events.is_human_response
                            and events.event_at
                            > {{ days_after("clock.latest_hour", -days) }}
                        then 1
                    end
                ) as responses_{{ days }}d,
            {%- endfor %}
            count(
                distinct case
                    when
                        events.is_human_response
                        and events.event_at > {{ days_after("clock.latest_hour", -30) }}
                    then cast(events.event_at as date)
                end
            ) as response_days_30d,
            count(
                case
                    when
                        events.action in ('unsubscribe', 'spam')
                        and events.event_at > {{ days_after("clock.latest_hour", -30) }}
                    then 1
                end
            ) as refusals_30d
        from {{ ref("int_message_events") }} as events
        inner join identity on events.braze_user_id = identity.braze_user_id
        cross join clock
        where events.delivered_hour > {{ since_window }}
        group by identity.user_key, events.channel
    ),
    moments as (
        select
            identity.user_key,
            states.channel,
            max(states.last_sent_at) as last_sent_at,
            max(states.last_delivered_at) as last_delivered_at,
            max(states.last_human_response_at) as last_human_response_at,
            max(states.last_hard_bounced_at) as last_hard_bounced_at,
            max(states.last_unsubscribed_at) as last_unsubscribed_at,
            max(states.last_spam_report_at) as last_spam_report_at,
            max(states.last_inbound_at) as last_inbound_at
        from {{ ref("int_profile_channels") }} as states
        inner join identity on states.braze_user_id = identity.braze_user_id
        group by identity.user_key, states.channel
    ),
    subscriptions as (
        select
            user_key,
            channel,
            max(case when subject_kind = 'channel' then status end) as channel_status,
            max(
                case when subject_kind = 'channel' then valid_from end
            ) as channel_status_since,
            count(
                case
                    when
                        subject_kind = 'subscription_group' and status <> 'unsubscribed'
                    then 1
                end
            ) as groups_subscribed,
            count(
                case when subject_kind = 'subscription_group' then 1 end
            ) as groups_known
        from {{ ref("mart_subscription_state") }}
        where is_current
        group by user_key, channel
    ),
    enabled_tokens as (
        select identity.user_key, count(distinct tokens.push_token_key) as push_tokens
        from {{ ref("int_push_tokens") }} as tokens
        inner join identity on tokens.braze_user_id = identity.braze_user_id
        left join
            {{ ref("int_app_uninstalls") }} as uninstalls
            on tokens.braze_user_id = uninstalls.braze_user_id
            and tokens.app_id = uninstalls.app_id
            and uninstalls.last_uninstalled_at >= tokens.changed_at
            and (
                uninstalls.device_id is null
                or tokens.device_id is null
                or uninstalls.device_id = tokens.device_id
            )
        where tokens.is_enabled and uninstalls.braze_user_id is null
        group by identity.user_key
    ),
    app_users as (
        select
            identity.user_key,
            sessions.app_id,
            max(sessions.event_at) as last_session_at
        from {{ ref("stg_currents__users_behaviors_app_session_start") }} as sessions
        inner join identity on sessions.braze_user_id = identity.braze_user_id
        where sessions.delivered_hour > {{ since_window }}
        group by identity.user_key, sessions.app_id
    ),
    uninstalled_apps as (
        select
            identity.user_key,
            uninstalls.app_id,
            max(uninstalls.last_uninstalled_at) as last_uninstalled_at
        from {{ ref("int_app_uninstalls") }} as uninstalls
        inner join identity on uninstalls.braze_user_id = identity.braze_user_id
        group by identity.user_key, uninstalls.app_id
    ),
    installed as (
        select app_users.user_key
        from app_users
        left join
            uninstalled_apps
            on app_users.user_key = uninstalled_apps.user_key
            and app_users.app_id = uninstalled_apps.app_id
        where
            uninstalled_apps.last_uninstalled_at is null
            or uninstalled_apps.last_uninstalled_at < app_users.last_session_at
        group by app_users.user_key
    ),
    pairs as (
        select user_key, channel
        from moments
        union distinct
        select user_key, 'push' as channel
        from enabled_tokens
        union distinct
        select user_key, channel
        from subscriptions
        where channel in ('push', '{{ addressed | join("', '") }}')
        {%- for channel in in_app %}
            union distinct
            select user_key, '{{ channel }}' as channel
            from installed
        {%- endfor %}
    ),
    reached as (
        select
            pairs.user_key,
            pairs.channel,
            case
                when
                    pairs.channel
                    not in ('push', '{{ (addressed + in_app) | join("', '") }}')
                then 'not_addressable'
                when pairs.channel in ('{{ in_app | join("', '") }}')
                then
                    case
                        when installed.user_key is null
                        then 'not_in_app'
                        else 'reachable'
                    end
                when subscriptions.channel_status = 'unsubscribed'
                then 'unsubscribed'
                when pairs.channel = 'push'
                then
                    case
                        when enabled_tokens.user_key is null
                        then 'no_token'
                        else 'reachable'
                    end
                when
                    greatest(
                        coalesce(
                            moments.last_unsubscribed_at, moments.last_spam_report_at
                        ),
                        coalesce(
                            moments.last_spam_report_at, moments.last_unsubscribed_at
                        )
                    ) >= coalesce(
                        subscriptions.channel_status_since, timestamp '1970-01-01'
                    )
                then 'unsubscribed'
                when
                    pairs.channel <> 'email'
                    and subscriptions.groups_known > 0
                    and subscriptions.groups_subscribed = 0
                then 'unsubscribed'
                when
                    moments.last_sent_at is null
                    and moments.last_delivered_at is null
                    and moments.last_inbound_at is null
                    and subscriptions.channel_status is null
                    and coalesce(subscriptions.groups_subscribed, 0) = 0
                then 'no_address'
                when
                    pairs.channel = 'email'
                    and moments.last_hard_bounced_at
                    > coalesce(moments.last_delivered_at, timestamp '1970-01-01')
                then 'hard_bounced'
                else 'reachable'
            end as reach,
            moments.last_sent_at,
            moments.last_human_response_at
        from pairs
        left join
            moments
            on pairs.user_key = moments.user_key
            and pairs.channel = moments.channel
        left join
            subscriptions
            on pairs.user_key = subscriptions.user_key
            and pairs.channel = subscriptions.channel
        left join enabled_tokens on pairs.user_key = enabled_tokens.user_key
        left join installed on pairs.user_key = installed.user_key
    )
select
    concat(reached.user_key, '|', reached.channel) as user_channel_key,
    reached.user_key,
    reached.channel,
    reached.reach,
    reached.reach = 'reachable' as is_reachable,
    reached.last_sent_at,
    reached.last_human_response_at,
    {{ seconds_between("reached.last_human_response_at", "clock.latest_hour") }}
    / 86400.0 as days_since_response,
    {%- for days in [7, 30, 90] %}
        coalesce(counts.sends_{{ days }}d, 0) as sends_{{ days }}d,
        coalesce(counts.responses_{{ days }}d, 0) as responses_{{ days }}d,
    {%- endfor %}
    coalesce(counts.response_days_30d, 0) as response_days_30d,
    coalesce(counts.refusals_30d, 0) as refusals_30d,
    {{ fatigue_level("counts") }} as fatigue_level,
    clock.latest_hour as as_of
from reached
cross join clock
left join
    counts on reached.user_key = counts.user_key and reached.channel = counts.channel
