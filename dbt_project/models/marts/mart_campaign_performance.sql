with
    totals as (
        select
            campaign_id,
            {{ whole_sum("sends") }} as sends,
            {# Channels without delivery events: what was sent and did not fail, arrived. -#}
            {{
                whole_sum(
                    "case when channel in ('email', 'sms', 'whatsapp', 'rcs') then delivery_events "
                    ~ "else sends - bounces - failures end"
                )
            }}
            as deliveries
        from {{ ref("fct_messages_daily") }}
        where campaign_id is not null
        group by campaign_id
    ),
    campaign_users as (
        {# A person, all profiles and variations together; who was ever in control counts as control. -#}
        select
            profiles.campaign_id,
            identity.user_key,
            max(case when profiles.is_sent then 1 else 0 end) as is_sent,
            max(case when profiles.is_control then 1 else 0 end) as is_control,
            max(case when profiles.has_human_open then 1 else 0 end) as has_human_open,
            max(case when profiles.has_human_click then 1 else 0 end) as has_human_click
            {%- for index in range(4) %}
                ,
                max(
                    case when profiles.has_conversion_{{ index }} then 1 else 0 end
                ) as has_conversion_{{ index }}
            {%- endfor %}
        from {{ ref("int_campaign_profiles") }} as profiles
        inner join
            {{ ref("int_user_identity") }} as identity
            on profiles.braze_user_id = identity.braze_user_id
        group by profiles.campaign_id, identity.user_key
    ),
    campaign_groups as (
        select
            campaign_id,
            {{ whole_sum("has_human_open") }} as unique_human_opens,
            {{ whole_sum("has_human_click") }} as unique_human_clicks,
            {%- for index in range(4) %}
                {{ whole_sum("has_conversion_" ~ index ~ " * (1 - is_control)") }}
                as conversions_{{ index }},
            {%- endfor %}
            {{ whole_sum("is_sent * (1 - is_control)") }} as treated_users,
            {{ whole_sum("is_control") }} as control_users,
            {{ whole_sum("is_sent * (1 - is_control) * has_conversion_0") }}
            as treated_conversions,
            {{ whole_sum("is_control * has_conversion_0") }} as control_conversions
        from campaign_users
        group by campaign_id
    ),
    rates as (
        select
            campaign_id,
            treated_users,
            control_users,
            treated_conversions,
            control_conversions,
            {{ rate_with_interval("treated_rate", "treated_conversions", "treated_users") }},
            {{ rate_with_interval("control_rate", "control_conversions", "control_users") }}
        from campaign_groups
    )
select
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.channel,
    coalesce(totals.sends, 0) as sends,
    coalesce(totals.deliveries, 0) as deliveries,
    coalesce(campaign_groups.unique_human_opens, 0) as unique_human_opens,
    coalesce(campaign_groups.unique_human_clicks, 0) as unique_human_clicks,
    coalesce(campaign_groups.conversions_0, 0) as conversions,
    coalesce(campaign_groups.conversions_1, 0) as conversions_b,
    coalesce(campaign_groups.conversions_2, 0) as conversions_c,
    coalesce(campaign_groups.conversions_3, 0) as conversions_d,
    coalesce(rates.treated_users, 0) as treated_users,
    coalesce(rates.control_users, 0) as control_users,
    coalesce(rates.treated_conversions, 0) as treated_conversions,
    coalesce(rates.control_conversions, 0) as control_conversions,
    round(rates.treated_rate, 6) as treated_conversion_rate,
    round(rates.control_rate, 6) as control_conversion_rate,
    {{ difference_with_interval("lift", "rates.treated_rate", "rates.control_rate") }},
    campaigns.first_seen_at,
    campaigns.last_seen_at
from {{ ref("dim_campaign") }} as campaigns
left join totals on campaigns.campaign_id = totals.campaign_id
left join campaign_groups on campaigns.campaign_id = campaign_groups.campaign_id
left join rates on campaigns.campaign_id = rates.campaign_id
