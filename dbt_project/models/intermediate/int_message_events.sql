{{
    config(
        materialized="incremental",
        partition_by={"field": "delivered_hour", "data_type": "timestamp", "granularity": "day"},
        cluster_by=["campaign_id", "braze_user_id"],
        meta={"rebuild": {"column": "delivered_hour"}},
    )
}}
{%- for type in message_types() %}
    select
        event_id,
        '{{ type.channel }}' as channel,
        '{{ type.action }}' as action,
        event_at,
        day,
        delivered_hour,
        braze_user_id,
        external_id,
        campaign_id,
        campaign_name,
        message_variation_id,
        message_variation_name,
        canvas_id,
        canvas_name,
        canvas_variation_id,
        canvas_step_id,
        canvas_step_name,
        dispatch_id,
        send_id,
        app_id,
        is_machine_open,
        is_suspected_bot_click,
        failure_code,
        {{ "true" if is_send_event(type.channel, type.action) else "false" }}
        as is_send,
        {{ {"open": "not is_machine_open", "click": "not is_suspected_bot_click", "read": "true", "inbound": "true"}.get(type.action, "false") }}
        as is_human_response
    from {{ ref("stg_currents__" ~ type.table) }}
    where {{ in_rebuild_window("delivered_hour") }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
