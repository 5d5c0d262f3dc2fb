{#- The last time of each thing only grows, so new hours are enough to keep it. -#}
{{ config(materialized="incremental", unique_key="profile_channel_key", cluster_by=["braze_user_id"]) }}
{%- set moments = {
    "last_sent_at": "is_send",
    "last_delivered_at": "action = 'delivery'",
    "last_human_response_at": "is_human_response",
    "last_hard_bounced_at": "action = 'bounce'",
    "last_unsubscribed_at": "action = 'unsubscribe'",
    "last_spam_report_at": "action = 'spam'",
    "last_inbound_at": "action = 'inbound'",
} -%}
with
    events as (
        select braze_user_id, channel, action, event_at, is_send, is_human_response
        from {{ ref("int_message_events") }}
        where braze_user_id is not null and {{ in_rebuild_window("delivered_hour") }}
    ),
    moments as (
        select
            braze_user_id,
            channel
            {%- for name, condition in moments.items() %}
                , max(case when {{ condition }} then event_at end) as {{ name }}
            {%- endfor %}
        from events
        group by braze_user_id, channel
        {% if is_incremental() %}
            union all
            select
                known.braze_user_id,
                known.channel
                {%- for name in moments %}, known.{{ name }} {%- endfor %}
            from {{ this }} as known
            where known.braze_user_id in (select braze_user_id from events)
        {% endif %}
    )
select
    concat(braze_user_id, '|', channel) as profile_channel_key,
    braze_user_id,
    channel
    {%- for name in moments %}, max({{ name }}) as {{ name }} {%- endfor %}
from moments
group by braze_user_id, channel
