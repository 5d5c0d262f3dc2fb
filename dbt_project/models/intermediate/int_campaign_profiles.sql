{#- What was once so of a profile and a campaign stays so: flags are only ever set, so new hours are enough to keep them. -#}
{{ config(materialized="incremental", unique_key="campaign_profile_key", cluster_by=["campaign_id"]) }}
{%- set conversions = [
    "has_conversion_0",
    "has_conversion_1",
    "has_conversion_2",
    "has_conversion_3",
] -%}
with
    events as (
        select
            campaign_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            braze_user_id,
            case when is_send then 1 else 0 end as is_sent,
            0 as is_control,
            case
                when action in ('open', 'read') and is_human_response then 1 else 0
            end as has_human_open,
            case
                when action = 'click' and is_human_response then 1 else 0
            end as has_human_click,
            {%- for flag in conversions %} 0 as {{ flag }}, {%- endfor %}
            case when is_send then event_at end as first_enrolled_at
        from {{ ref("int_message_events") }}
        where
            campaign_id is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
        union all
        select
            campaign_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            braze_user_id,
            0 as is_sent,
            1 as is_control,
            0 as has_human_open,
            0 as has_human_click,
            {%- for flag in conversions %} 0 as {{ flag }}, {%- endfor %}
            event_at as first_enrolled_at
        from {{ ref("stg_currents__users_campaigns_enroll_in_control") }}
        where
            campaign_id is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
        union all
        select
            campaign_id,
            coalesce(message_variation_id, 'none') as message_variation_id,
            braze_user_id,
            0 as is_sent,
            0 as is_control,
            0 as has_human_open,
            0 as has_human_click,
            {%- for flag in conversions %}
                case
                    when conversion_behavior_index = {{ loop.index0 }} then 1 else 0
                end as {{ flag }},
            {%- endfor %}
            cast(null as timestamp) as first_enrolled_at
        from {{ ref("stg_currents__users_campaigns_conversion") }}
        where
            campaign_id is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
    )
    {{
        ever_set(
            "campaign_profile_key",
            ["campaign_id", "message_variation_id", "braze_user_id"],
            ["is_sent", "is_control", "has_human_open", "has_human_click"] + conversions,
            earliest=["first_enrolled_at"],
        )
    }}
