{%- set message_types = [
    ("email", "send", "users_messages_email_send"),
    ("email", "delivery", "users_messages_email_delivery"),
    ("email", "open", "users_messages_email_open"),
    ("email", "click", "users_messages_email_click"),
    ("email", "bounce", "users_messages_email_bounce"),
    ("email", "soft_bounce", "users_messages_email_soft_bounce"),
    ("email", "spam", "users_messages_email_mark_as_spam"),
    ("email", "unsubscribe", "users_messages_email_unsubscribe"),
    ("push", "send", "users_messages_pushnotification_send"),
    ("push", "open", "users_messages_pushnotification_open"),
    ("push", "bounce", "users_messages_pushnotification_bounce"),
    ("in_app_message", "impression", "users_messages_inappmessage_impression"),
    ("in_app_message", "click", "users_messages_inappmessage_click"),
    ("content_card", "send", "users_messages_contentcard_send"),
    ("content_card", "impression", "users_messages_contentcard_impression"),
    ("content_card", "click", "users_messages_contentcard_click"),
    ("content_card", "dismiss", "users_messages_contentcard_dismiss"),
    ("sms", "send", "users_messages_sms_send"),
    ("sms", "delivery", "users_messages_sms_delivery"),
    ("sms", "failure", "users_messages_sms_delivery_failure"),
    ("sms", "failure", "users_messages_sms_rejection"),
    ("sms", "click", "users_messages_sms_short_link_click"),
    ("sms", "inbound", "users_messages_sms_inbound_receive"),
    ("webhook", "send", "users_messages_webhook_send"),
] -%}
{% for channel, action, table in message_types %}
    select
        event_id,
        '{{ channel }}' as channel,
        '{{ action }}' as action,
        event_at,
        delivered_hour,
        braze_user_id,
        external_id,
        campaign_id,
        campaign_name,
        message_variation_id,
        message_variation_name,
        canvas_id,
        canvas_name,
        canvas_step_id,
        canvas_step_name,
        dispatch_id,
        send_id,
        app_id,
        is_machine_open,
        is_suspected_bot_click,
        {# In-app messages have no send event: being shown is being sent. -#}
        {{ "true" if action == "send" or (channel, action) == ("in_app_message", "impression") else "false" }}
        as is_send,
        {{ {"open": "not is_machine_open", "click": "not is_suspected_bot_click", "inbound": "true"}.get(action, "false") }}
        as is_human_response
    from {{ ref("stg_currents__" ~ table) }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
