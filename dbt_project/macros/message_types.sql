{#- The event types that are message events (see staged_event_types). -#}
{% macro message_types() -%}
    {{ return(staged_event_types() | selectattr("action", "defined") | list) }}
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
