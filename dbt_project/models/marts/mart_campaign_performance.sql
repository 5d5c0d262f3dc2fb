with
    funnel as (
        select
            campaign_id,
            sum(case when is_send then 1 else 0 end) as sends,
            sum(case when action = 'delivery' then 1 else 0 end)
            {# Push, in-app, content card and webhook have no delivery event: what was sent and did not fail, arrived. -#}
            + sum(
                case when is_send and channel not in ('email', 'sms') then 1 else 0 end
            )
            - sum(
                case when action = 'bounce' and channel = 'push' then 1 else 0 end
            ) as deliveries,
            count(
                distinct case
                    when action = 'open' and is_human_response then braze_user_id
                end
            ) as unique_human_opens,
            count(
                distinct case
                    when action = 'click' and is_human_response then braze_user_id
                end
            ) as unique_human_clicks
        from {{ ref("int_message_events") }}
        where campaign_id is not null
        group by campaign_id
    ),
    campaign_groups as (
        select
            campaign_id,
            sum(
                case when is_converted and not is_control then 1 else 0 end
            ) as conversions,
            sum(
                case when is_sent and not is_control then 1 else 0 end
            ) as treated_users,
            sum(case when is_control then 1 else 0 end) as control_users,
            sum(
                case when is_sent and not is_control and is_converted then 1 else 0 end
            ) as treated_conversions,
            sum(
                case when is_control and is_converted then 1 else 0 end
            ) as control_conversions
        from {{ ref("int_campaign_users") }}
        group by campaign_id
    ),
    rates as (
        select
            campaign_id,
            conversions,
            treated_users,
            control_users,
            treated_conversions,
            control_conversions,
            treated_conversions * 1.0 / nullif(treated_users, 0) as treated_rate,
            control_conversions * 1.0 / nullif(control_users, 0) as control_rate,
            {{ wilson_bound("treated_conversions", "treated_users", -1) }}
            as treated_low,
            {{ wilson_bound("treated_conversions", "treated_users", 1) }}
            as treated_high,
            {{ wilson_bound("control_conversions", "control_users", -1) }}
            as control_low,
            {{ wilson_bound("control_conversions", "control_users", 1) }}
            as control_high
        from campaign_groups
    )
select
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.channel,
    coalesce(funnel.sends, 0) as sends,
    coalesce(funnel.deliveries, 0) as deliveries,
    coalesce(funnel.unique_human_opens, 0) as unique_human_opens,
    coalesce(funnel.unique_human_clicks, 0) as unique_human_clicks,
    coalesce(rates.conversions, 0) as conversions,
    coalesce(rates.treated_users, 0) as treated_users,
    coalesce(rates.control_users, 0) as control_users,
    coalesce(rates.treated_conversions, 0) as treated_conversions,
    coalesce(rates.control_conversions, 0) as control_conversions,
    round(rates.treated_rate, 6) as treated_conversion_rate,
    round(rates.control_rate, 6) as control_conversion_rate,
    round(rates.treated_rate - rates.control_rate, 6) as lift,
    round(
        rates.treated_rate
        - rates.control_rate
        - sqrt(
            (rates.treated_rate - rates.treated_low)
            * (rates.treated_rate - rates.treated_low)
            + (rates.control_high - rates.control_rate)
            * (rates.control_high - rates.control_rate)
        ),
        6
    ) as lift_low,
    round(
        rates.treated_rate
        - rates.control_rate
        + sqrt(
            (rates.treated_high - rates.treated_rate)
            * (rates.treated_high - rates.treated_rate)
            + (rates.control_rate - rates.control_low)
            * (rates.control_rate - rates.control_low)
        ),
        6
    ) as lift_high,
    campaigns.first_seen_at,
    campaigns.last_seen_at
from {{ ref("dim_campaign") }} as campaigns
left join funnel on campaigns.campaign_id = funnel.campaign_id
left join rates on campaigns.campaign_id = rates.campaign_id
