{#- What was once so of a profile and a campaign stays so: flags are only ever set, so new hours are enough to keep them. -#}
{{ config(materialized="incremental", unique_key="campaign_profile_key", cluster_by=["campaign_id"]) }}
{%- set flags = [
    "is_sent",
    "is_control",
    "has_human_open",
    "has_human_click",
    "has_conversion_0",
    "has_conversion_1",
    "has_conversion_2",
    "has_conversion_3",
] -%}
with
    events as (
        select
            campaign_id,
            braze_user_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            is_send as is_sent,
            false as is_control,
            action in ('open', 'read') and is_human_response as has_human_open,
            action = 'click' and is_human_response as has_human_click,
            -1 as conversion_index
        from {{ ref("int_message_events") }}
        where campaign_id is not null and {{ redone("delivered_hour") }}
        union all
        select
            campaign_id,
            braze_user_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            false as is_sent,
            true as is_control,
            false as has_human_open,
            false as has_human_click,
            -1 as conversion_index
        from {{ ref("stg_currents__users_campaigns_enroll_in_control") }}
        where {{ redone("delivered_hour") }}
        union all
        select
            campaign_id,
            braze_user_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            false as is_sent,
            false as is_control,
            false as has_human_open,
            false as has_human_click,
            conversion_behavior_index as conversion_index
        from {{ ref("stg_currents__users_campaigns_conversion") }}
        where {{ redone("delivered_hour") }}
    ),
    flagged as (
        select
            campaign_id,
            message_variation_id,
            braze_user_id,
            max(case when is_sent then 1 else 0 end) as is_sent,
            max(case when is_control then 1 else 0 end) as is_control,
            max(case when has_human_open then 1 else 0 end) as has_human_open,
            max(case when has_human_click then 1 else 0 end) as has_human_click,
            {%- for index in range(4) %}
                max(
                    case when conversion_index = {{ index }} then 1 else 0 end
                ) as has_conversion_{{ index }}{{ "," if not loop.last }}
            {%- endfor %}
        from events
        where braze_user_id is not null and campaign_id is not null
        group by campaign_id, message_variation_id, braze_user_id
        {% if is_incremental() %}
            union all
            select
                known.campaign_id,
                known.message_variation_id,
                known.braze_user_id
                {%- for flag in flags %}
                    , case when known.{{ flag }} then 1 else 0 end as {{ flag }}
                {%- endfor %}
            from {{ this }} as known
            where
                known.braze_user_id in (select braze_user_id from events)
                and known.campaign_id in (select campaign_id from events)
        {% endif %}
    )
select
    concat(
        campaign_id, '|', message_variation_id, '|', braze_user_id
    ) as campaign_profile_key,
    campaign_id,
    message_variation_id,
    braze_user_id
    {%- for flag in flags %}, max({{ flag }}) = 1 as {{ flag }} {%- endfor %}
from flagged
group by campaign_id, message_variation_id, braze_user_id
