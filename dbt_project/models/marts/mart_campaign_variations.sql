with
    funnel as (
        select
            campaign_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            max(message_variation_name) as message_variation_name,
            sum(case when is_send then 1 else 0 end) as sends,
            count(distinct case when is_send then braze_user_id end) as users_sent,
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
        group by campaign_id, coalesce(message_variation_id, 'none')
    ),
    conversions as (
        select
            campaign_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            max(message_variation_name) as message_variation_name,
            count(distinct braze_user_id) as conversions
        from {{ ref("stg_currents__users_campaigns_conversion") }}
        where conversion_behavior_index = 0
        group by campaign_id, coalesce(message_variation_id, 'none')
    ),
    controls as (
        select
            campaign_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            max(message_variation_name) as message_variation_name,
            count(distinct braze_user_id) as control_users
        from {{ ref("stg_currents__users_campaigns_enroll_in_control") }}
        group by campaign_id, coalesce(message_variation_id, 'none')
    ),
    variations as (
        select campaign_id, message_variation_id
        from funnel
        union distinct
        select campaign_id, message_variation_id
        from conversions
        union distinct
        select campaign_id, message_variation_id
        from controls
    )
select
    concat(
        variations.campaign_id, '|', variations.message_variation_id
    ) as campaign_variation_key,
    variations.campaign_id,
    variations.message_variation_id,
    coalesce(
        funnel.message_variation_name,
        conversions.message_variation_name,
        controls.message_variation_name
    ) as message_variation_name,
    controls.control_users is not null as is_control,
    coalesce(funnel.sends, 0) as sends,
    coalesce(funnel.users_sent, 0) as users_sent,
    coalesce(controls.control_users, 0) as control_users,
    coalesce(funnel.unique_human_opens, 0) as unique_human_opens,
    coalesce(funnel.unique_human_clicks, 0) as unique_human_clicks,
    coalesce(conversions.conversions, 0) as conversions,
    coalesce(conversions.conversions, 0)
    * 1.0
    / nullif(coalesce(controls.control_users, funnel.users_sent), 0) as conversion_rate
from variations
left join
    funnel
    on variations.campaign_id = funnel.campaign_id
    and variations.message_variation_id = funnel.message_variation_id
left join
    conversions
    on variations.campaign_id = conversions.campaign_id
    and variations.message_variation_id = conversions.message_variation_id
left join
    controls
    on variations.campaign_id = controls.campaign_id
    and variations.message_variation_id = controls.message_variation_id
