with
    sends as (
        select
            campaign_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            {{ whole_sum("sends") }} as sends
        from {{ ref("fct_messages_daily") }}
        where campaign_id is not null
        group by campaign_id, coalesce(message_variation_id, 'none')
    ),
    people as (
        select
            profiles.campaign_id,
            profiles.message_variation_id,
            identity.user_key,
            max(case when profiles.is_sent then 1 else 0 end) as is_sent,
            max(case when profiles.is_control then 1 else 0 end) as is_control,
            max(case when profiles.has_human_open then 1 else 0 end) as has_human_open,
            max(
                case when profiles.has_human_click then 1 else 0 end
            ) as has_human_click,
            max(case when profiles.has_conversion_0 then 1 else 0 end) as has_conversion
        from {{ ref("int_campaign_profiles") }} as profiles
        inner join
            {{ ref("int_user_identity") }} as identity
            on profiles.braze_user_id = identity.braze_user_id
        group by profiles.campaign_id, profiles.message_variation_id, identity.user_key
    ),
    variations as (
        select
            campaign_id,
            message_variation_id,
            {{ whole_sum("is_sent") }} as users_sent,
            {{ whole_sum("is_control") }} as control_users,
            {{ whole_sum("has_human_open") }} as unique_human_opens,
            {{ whole_sum("has_human_click") }} as unique_human_clicks,
            {{ whole_sum("has_conversion") }} as conversions
        from people
        group by campaign_id, message_variation_id
    ),
    latest_names as (
        select parent_id, id, name
        from {{ ref("int_message_names") }}
        where kind = 'message_variation' and name is not null
        qualify
            row_number() over (
                partition by parent_id, id order by last_seen_at desc, name
            )
            = 1
    )
select
    concat(
        variations.campaign_id, '|', variations.message_variation_id
    ) as campaign_variation_key,
    variations.campaign_id,
    variations.message_variation_id,
    latest_names.name as message_variation_name,
    variations.control_users > 0 as is_control,
    coalesce(sends.sends, 0) as sends,
    variations.users_sent,
    variations.control_users,
    variations.unique_human_opens,
    variations.unique_human_clicks,
    variations.conversions,
    variations.conversions
    * 1.0
    / nullif(
        case
            when variations.control_users > 0
            then variations.control_users
            else variations.users_sent
        end,
        0
    ) as conversion_rate
from variations
left join
    sends
    on variations.campaign_id = sends.campaign_id
    and variations.message_variation_id = sends.message_variation_id
left join
    latest_names
    on variations.campaign_id = latest_names.parent_id
    and variations.message_variation_id = latest_names.id
