{#- The event types that are message events: channel, action, raw table, and the fields by which a test event of the type shows
    itself (see is_test_event; a test holds the last against the staging models). -#}
{% macro message_types() -%}
    {%- set types = [
            ("email", "send", "users_messages_email_send", ["timezone"]),
            ("email", "delivery", "users_messages_email_delivery", ["timezone"]),
            ("email", "open", "users_messages_email_open", ["timezone"]),
            ("email", "click", "users_messages_email_click", ["timezone"]),
            ("email", "bounce", "users_messages_email_bounce", ["timezone"]),
            ("email", "soft_bounce", "users_messages_email_soft_bounce", ["timezone"]),
            ("email", "deferral", "users_messages_email_deferral", ["timezone"]),
            ("email", "spam", "users_messages_email_mark_as_spam", ["timezone"]),
            ("email", "unsubscribe", "users_messages_email_unsubscribe", ["timezone"]),
            ("email", "abort", "users_messages_email_abort", ["timezone"]),
            ("email", "retry", "users_messages_email_retry", ["timezone"]),
            ("push", "send", "users_messages_pushnotification_send", ["timezone", "platform"]),
            ("push", "open", "users_messages_pushnotification_open", ["timezone", "platform"]),
            ("push", "bounce", "users_messages_pushnotification_bounce", ["timezone", "platform"]),
            ("push", "abort", "users_messages_pushnotification_abort", ["timezone", "platform"]),
            ("push", "retry", "users_messages_pushnotification_retry", ["timezone", "platform"]),
            ("push", "foreground", "users_messages_pushnotification_ios_foreground", ["timezone", "platform"]),
            ("in_app_message", "click", "users_messages_inappmessage_click", ["timezone", "platform"]),
            ("in_app_message", "abort", "users_messages_inappmessage_abort", ["timezone", "platform"]),
            ("in_app_message", "impression", "users_messages_inappmessage_impression", ["timezone", "platform"]),
            ("content_card", "send", "users_messages_contentcard_send", ["timezone"]),
            ("content_card", "click", "users_messages_contentcard_click", ["timezone", "platform"]),
            ("content_card", "abort", "users_messages_contentcard_abort", ["timezone"]),
            ("content_card", "impression", "users_messages_contentcard_impression", ["timezone", "platform"]),
            ("content_card", "dismiss", "users_messages_contentcard_dismiss", ["timezone", "platform"]),
            ("banner", "click", "users_messages_banner_click", ["timezone", "platform"]),
            ("banner", "abort", "users_messages_banner_abort", ["timezone", "platform"]),
            ("banner", "impression", "users_messages_banner_impression", ["timezone", "platform"]),
            ("banner", "dismiss", "users_messages_banner_dismiss", ["timezone", "platform"]),
            ("sms", "send", "users_messages_sms_send", ["timezone"]),
            ("sms", "delivery", "users_messages_sms_delivery", ["timezone"]),
            ("sms", "abort", "users_messages_sms_abort", []),
            ("sms", "retry", "users_messages_sms_retry", []),
            ("sms", "carrier_send", "users_messages_sms_carrier_send", ["timezone"]),
            ("sms", "failure", "users_messages_sms_delivery_failure", ["timezone"]),
            ("sms", "failure", "users_messages_sms_rejection", ["timezone"]),
            ("sms", "inbound", "users_messages_sms_inbound_receive", []),
            ("sms", "click", "users_messages_sms_short_link_click", ["timezone"]),
            ("whatsapp", "send", "users_messages_whatsapp_send", ["timezone"]),
            ("whatsapp", "delivery", "users_messages_whatsapp_delivery", ["timezone"]),
            ("whatsapp", "click", "users_messages_whatsapp_click", ["timezone"]),
            ("whatsapp", "abort", "users_messages_whatsapp_abort", ["timezone"]),
            ("whatsapp", "retry", "users_messages_whatsapp_retry", ["timezone"]),
            ("whatsapp", "failure", "users_messages_whatsapp_failure", ["timezone"]),
            ("whatsapp", "inbound", "users_messages_whatsapp_inbound_receive", ["timezone"]),
            ("whatsapp", "read", "users_messages_whatsapp_read", ["timezone"]),
            ("rcs", "send", "users_messages_rcs_send", []),
            ("rcs", "delivery", "users_messages_rcs_delivery", []),
            ("rcs", "click", "users_messages_rcs_click", []),
            ("rcs", "abort", "users_messages_rcs_abort", []),
            ("rcs", "failure", "users_messages_rcs_rejection", []),
            ("rcs", "inbound", "users_messages_rcs_inbound_receive", []),
            ("rcs", "read", "users_messages_rcs_read", []),
            ("line", "send", "users_messages_line_send", ["timezone"]),
            ("line", "click", "users_messages_line_click", ["timezone"]),
            ("line", "abort", "users_messages_line_abort", ["timezone"]),
            ("line", "retry", "users_messages_line_retry", ["timezone"]),
            ("line", "inbound", "users_messages_line_inbound_receive", ["timezone"]),
            ("webhook", "send", "users_messages_webhook_send", ["timezone"]),
            ("webhook", "abort", "users_messages_webhook_abort", ["timezone"]),
            ("webhook", "retry", "users_messages_webhook_retry", ["timezone"]),
            ("webhook", "failure", "users_messages_webhook_failure", []),
            ("live_activity", "send", "users_messages_liveactivity_send", []),
            ("live_activity", "outcome", "users_messages_liveactivity_outcome", []),
            ("feature_flag", "impression", "users_messages_featureflag_impression", ["timezone", "platform"]),
    ] -%}
    {{ return(types) }}
{%- endmacro %}

{#- Whether an event of a channel and action counts as the send. Channels without a send event: being shown is being sent. -#}
{% macro is_send_event(channel, action) -%}
    {{
        return(
            action == "send"
            or (
                action == "impression"
                and channel in ("in_app_message", "banner", "feature_flag")
            )
        )
    }}
{%- endmacro %}
