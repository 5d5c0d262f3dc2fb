{#- The last message_pressure_weeks weeks that are over, by the data's own clock. Who was deleted since stays counted. -#}
{%- set this_week = week_of(
    "cast(" ~ latest_hour(ref("int_message_events")) ~ " as date)"
) -%}
with
    user_weeks as (
        select
            identity.user_key,
            weeks.week,
            weeks.channel,
            sum(weeks.messages) as messages,
            sum(weeks.answered_messages) as answered_messages,
            sum(weeks.opened_messages) as opened_messages,
            sum(weeks.clicked_messages) as clicked_messages,
            sum(weeks.refused_messages) as refused_messages
        from {{ ref("int_message_weeks") }} as weeks
        inner join
            {{ ref("int_user_identity") }} as identity
            on weeks.braze_user_id = identity.braze_user_id
        where
            weeks.week < {{ this_week }}
            and weeks.week
            >= {{ date_after(this_week, -7 * var("message_pressure_weeks")) }}
        group by identity.user_key, weeks.week, weeks.channel
    ),
    bucketed as (
        select
            *,
            {{ frequency_bucket("cast(messages as " ~ column_type("integer") ~ ")") }}
            as frequency_bucket
        from user_weeks
    ),
    totals as (
        select
            channel,
            frequency_bucket,
            {{ whole_sum("1") }} as user_weeks,
            count(distinct user_key) as users,
            {{ whole_sum("messages") }} as messages,
            {{ whole_sum("answered_messages") }} as answered_messages,
            {{ whole_sum("opened_messages") }} as opened_messages,
            {{ whole_sum("clicked_messages") }} as clicked_messages,
            {{ whole_sum("refused_messages") }} as refused_messages,
            count(case when refused_messages > 0 then 1 end) as refusing_user_weeks
        from bucketed
        group by channel, frequency_bucket
    )
select
    concat(channel, '|', frequency_bucket) as pressure_bucket_key,
    channel,
    frequency_bucket,
    user_weeks,
    users,
    messages,
    answered_messages,
    opened_messages,
    clicked_messages,
    refused_messages,
    answered_messages * 1.0 / messages as answered_share,
    opened_messages * 1.0 / messages as opened_share,
    clicked_messages * 1.0 / messages as clicked_share,
    refusing_user_weeks * 1.0 / user_weeks as refusing_share
from totals
