{%- set channels = [
    "email",
    "push",
    "in_app_message",
    "sms",
    "content_card",
    "banner",
    "whatsapp",
    "rcs",
    "line",
] -%}
{#- An open is a read receipt where the channel has those. -#}
{%- set opened = ["email", "push", "whatsapp", "rcs"] -%}
{%- set window = var("engagement_window_days") -%}
{%- set in_7_days = "messages.event_at > " ~ days_after("clock.latest_hour", -7) -%}
{%- set in_30_days = "messages.event_at > " ~ days_after("clock.latest_hour", -30) -%}
with
    clock as (
        {# The data's own clock: the same data give the same result, whenever it is computed. -#}
        select {{ latest_hour(ref("int_message_events")) }} as latest_hour
    ),
    messages as (
        select
            identity.user_key,
            identity.surviving_external_id as external_id,
            events.channel,
            events.action,
            events.event_at,
            events.is_send,
            events.is_human_response
        from {{ ref("int_message_events") }} as events
        inner join
            {{ ref("int_user_identity") }} as identity
            on events.braze_user_id = identity.braze_user_id
        where
            not identity.is_deleted
            and events.delivered_hour
            > {{ days_after(latest_hour(ref("int_message_events")), -window) }}
    ),
    message_counts as (
        select
            messages.user_key,
            max(messages.external_id) as external_id,
            {% for channel in channels %}
                max(
                    case
                        when messages.channel = '{{ channel }}' and messages.is_send
                        then messages.event_at
                    end
                ) as last_{{ channel }}_sent_at,
                {% if channel in opened %}
                    max(
                        case
                            when
                                messages.channel = '{{ channel }}'
                                and messages.action in ('open', 'read')
                                and messages.is_human_response
                            then messages.event_at
                        end
                    ) as last_{{ channel }}_open_at,
                {% endif %}
                {% if channel != "push" %}
                    max(
                        case
                            when
                                messages.channel = '{{ channel }}'
                                and messages.action = 'click'
                                and messages.is_human_response
                            then messages.event_at
                        end
                    ) as last_{{ channel }}_click_at,
                {% endif %}
            {% endfor %}
            max(
                case when messages.is_human_response then messages.event_at end
            ) as last_engaged_at,
            count(
                case when messages.is_send and {{ in_7_days }} then 1 end
            ) as sends_7d,
            count(
                case when messages.is_send and {{ in_30_days }} then 1 end
            ) as sends_30d,
            count(case when messages.is_send then 1 end) as sends_90d,
            count(
                case when messages.is_human_response and {{ in_7_days }} then 1 end
            ) as responses_7d,
            count(
                case when messages.is_human_response and {{ in_30_days }} then 1 end
            ) as responses_30d,
            count(case when messages.is_human_response then 1 end) as responses_90d,
            count(
                distinct case
                    when messages.is_human_response and {{ in_30_days }}
                    then cast(messages.event_at as date)
                end
            ) as response_days_30d,
            count(
                case
                    when messages.action in ('unsubscribe', 'spam') and {{ in_30_days }}
                    then 1
                end
            ) as refusals_30d
        from messages
        cross join clock
        group by messages.user_key
    ),
    sessions as (
        select
            identity.user_key,
            max(events.event_at) as last_session_at,
            count(
                case
                    when events.event_at > {{ days_after("clock.latest_hour", -30) }}
                    then 1
                end
            ) as sessions_30d
        from {{ ref("stg_currents__users_behaviors_app_session_start") }} as events
        inner join
            {{ ref("int_user_identity") }} as identity
            on events.braze_user_id = identity.braze_user_id
        cross join clock
        where
            events.delivered_hour
            > {{ days_after(latest_hour(ref("int_message_events")), -window) }}
        group by identity.user_key
    ),
    channel_counts as (
        select
            sent_messages.user_key,
            sent_messages.channel,
            count(*) as sends,
            count(case when sent_messages.human_responses > 0 then 1 end) as responded
        from {{ ref("fct_message_sends") }} as sent_messages
        cross join clock
        where
            sent_messages.channel in ('{{ channels | join("', '") }}')
            and sent_messages.sent_at > {{ days_after("clock.latest_hour", -30) }}
            and sent_messages.delivered_hour
            > {{ days_after(latest_hour(ref("int_message_events")), -window) }}
        group by sent_messages.user_key, sent_messages.channel
    ),
    preferred_channels as (
        select user_key, channel as preferred_channel
        from channel_counts
        where responded > 0
        {# The 2 keeps one lucky send from outweighing a channel that works again and again. -#}
        qualify
            row_number() over (
                partition by user_key
                order by responded * 1.0 / (sends + 2) desc, responded desc, channel
            )
            = 1
    ),
    hour_counts as (
        select user_key, extract(hour from event_at) as hour, count(*) as responses
        from messages
        where is_human_response
        group by user_key, extract(hour from event_at)
    ),
    best_hours as (
        select user_key, hour as best_send_hour
        from hour_counts
        where true
        qualify
            row_number() over (partition by user_key order by responses desc, hour) = 1
    ),
    reach as (
        select
            user_key,
            string_agg(channel, ', ' order by channel) as reachable_channels,
            count(*) as reachable_channel_count,
            {%- for channel in ["push", "email", "sms"] %}
                max(case when channel = '{{ channel }}' then 1 else 0 end)
                = 1 as is_reachable_by_{{ channel }}{{ "," if not loop.last }}
            {%- endfor %}
        from {{ ref("mart_user_channels") }}
        where is_reachable
        group by user_key
    )
select
    counts.user_key,
    counts.external_id,
    {% for channel in channels %}
        counts.last_{{ channel }}_sent_at,
        {% if channel in opened %} counts.last_{{ channel }}_open_at, {% endif %}
        {% if channel != "push" %} counts.last_{{ channel }}_click_at, {% endif %}
    {% endfor %}
    counts.last_engaged_at,
    sessions.last_session_at,
    counts.sends_7d,
    counts.sends_30d,
    counts.responses_7d,
    counts.responses_30d,
    counts.refusals_30d,
    coalesce(sessions.sessions_30d, 0) as sessions_30d,
    cast(
        round(
            coalesce(
                40.0 * greatest(
                    1.0
                    - {{ seconds_between("counts.last_engaged_at", "clock.latest_hour") }}
                    / 2592000.0,
                    0.0
                ),
                0.0
            )
            + 40.0
            * least(counts.responses_30d * 1.0 / greatest(counts.sends_30d, 1), 1.0)
            + 20.0 * least(coalesce(sessions.sessions_30d, 0) / 10.0, 1.0)
        ) as {{ column_type("integer") }}
    ) as engagement_score,
    preferred_channels.preferred_channel,
    best_hours.best_send_hour,
    {{ fatigue_level("counts") }} as fatigue_level,
    counts.sends_90d,
    counts.responses_90d,
    counts.response_days_30d,
    {{ seconds_between("counts.last_engaged_at", "clock.latest_hour") }}
    / 86400.0 as days_since_response,
    reach.reachable_channels,
    coalesce(reach.reachable_channel_count, 0) as reachable_channel_count,
    {%- for channel in ["push", "email", "sms"] %}
        coalesce(
            reach.is_reachable_by_{{ channel }}, false
        ) as is_reachable_by_{{ channel }},
    {%- endfor %}
    clock.latest_hour as as_of
from message_counts as counts
cross join clock
left join sessions on counts.user_key = sessions.user_key
left join preferred_channels on counts.user_key = preferred_channels.user_key
left join best_hours on counts.user_key = best_hours.user_key
left join reach on counts.user_key = reach.user_key
