{{ config(materialized="view", meta={"rebuild": {"follows": true}}) }}
with
    weeks as (
        select
            identity.user_key,
            weeks.week,
            weeks.channel,
            {{ whole_sum("weeks.messages") }} as messages,
            {{ whole_sum("weeks.answered_messages") }} as answered_messages,
            {{ whole_sum("weeks.opened_messages") }} as opened_messages,
            {{ whole_sum("weeks.clicked_messages") }} as clicked_messages,
            {{ whole_sum("weeks.refused_messages") }} as refused_messages,
            min(weeks.first_sent_at) as first_sent_at,
            max(weeks.last_sent_at) as last_sent_at
        from {{ ref("int_message_weeks") }} as weeks
        inner join
            {{ ref("int_user_identity") }} as identity
            on weeks.braze_user_id = identity.braze_user_id
        where not identity.is_deleted
        group by identity.user_key, weeks.week, weeks.channel
    ),
    with_previous as (
        select
            *,
            lag(last_sent_at) over (
                partition by user_key, channel order by week
            ) as previous_sent_at
        from weeks
    )
select
    concat(
        user_key, '|', channel, '|', cast(week as {{ column_type("string") }})
    ) as message_pressure_key,
    user_key,
    week,
    channel,
    messages,
    {{ frequency_bucket("messages") }} as frequency_bucket,
    answered_messages,
    opened_messages,
    clicked_messages,
    refused_messages,
    first_sent_at,
    last_sent_at,
    {{ seconds_between("previous_sent_at", "first_sent_at") }}
    / 86400.0 as days_since_previous_message,
    {{ seconds_between("first_sent_at", "last_sent_at") }}
    / 86400.0
    / nullif(messages - 1, 0) as mean_days_between_messages
from with_previous
