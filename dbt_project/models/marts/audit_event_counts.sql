{#- Counts raw rows of every event type that is staged, from the raw tables alone; whole days, since a day is the grain. The
    list of types is held against the staging models by a test. -#}
{{
    config(
        materialized="incremental",
        on_schema_change="append_new_columns",
        unique_key="audit_key",
        partition_by={"field": "delivered_day", "data_type": "date", "granularity": "month"},
        meta={"rebuild": {"column": "delivered_day", "kind": "date"}},
    )
}}
-- depends_on: {{ ref('int_message_events') }}, {{ ref('int_message_sends') }}
{#- Event type, raw table, and by which fields a test event shows itself (see is_test_event). -#}
{%- set event_types = [
    ("agentconsole.AgentExecuted", "agentconsole_agent_executed", []),
    ("users.behaviors.app.FirstSession", "users_behaviors_app_first_session", ["timezone", "platform"]),
    ("users.behaviors.app.SessionEnd", "users_behaviors_app_session_end", ["platform"]),
    ("users.behaviors.app.SessionStart", "users_behaviors_app_session_start", ["platform"]),
    ("users.behaviors.CustomEvent", "users_behaviors_custom_event", ["timezone", "platform"]),
    ("users.behaviors.InstallAttribution", "users_behaviors_install_attribution", []),
    ("users.behaviors.liveactivity.PushToStartTokenChange", "users_behaviors_liveactivity_push_to_start_token_change", []),
    ("users.behaviors.liveactivity.UpdateTokenChange", "users_behaviors_liveactivity_update_token_change", []),
    ("users.behaviors.Location", "users_behaviors_location", ["platform"]),
    ("users.behaviors.Purchase", "users_behaviors_purchase", ["platform", "currency"]),
    ("users.behaviors.pushnotification.TokenStateChange", "users_behaviors_pushnotification_token_state_change", ["platform"]),
    ("users.behaviors.subscription.GlobalStateChange", "users_behaviors_subscription_global_state_change", ["timezone", "channel"]),
    ("users.behaviors.subscriptiongroup.StateChange", "users_behaviors_subscriptiongroup_state_change", ["timezone", "channel"]),
    ("users.behaviors.Uninstall", "users_behaviors_uninstall", []),
    ("users.campaigns.Conversion", "users_campaigns_conversion", ["timezone"]),
    ("users.campaigns.EnrollInControl", "users_campaigns_enroll_in_control", ["timezone"]),
    ("users.canvas.Conversion", "users_canvas_conversion", ["timezone"]),
    ("users.canvas.costep.Send", "users_canvas_costep_send", []),
    ("users.canvas.Entry", "users_canvas_entry", ["timezone"]),
    ("users.canvas.exit.MatchedAudience", "users_canvas_exit_matched_audience", []),
    ("users.canvas.exit.PerformedEvent", "users_canvas_exit_performed_event", []),
    ("users.canvas.experimentstep.Conversion", "users_canvas_experimentstep_conversion", []),
    ("users.canvas.experimentstep.SplitEntry", "users_canvas_experimentstep_split_entry", []),
    ("users.canvasstep.Progression", "users_canvasstep_progression", []),
    ("users.messages.banner.Abort", "users_messages_banner_abort", ["timezone", "platform"]),
    ("users.messages.banner.Click", "users_messages_banner_click", ["timezone", "platform"]),
    ("users.messages.banner.Dismiss", "users_messages_banner_dismiss", ["timezone", "platform"]),
    ("users.messages.banner.Impression", "users_messages_banner_impression", ["timezone", "platform"]),
    ("users.messages.contentcard.Abort", "users_messages_contentcard_abort", ["timezone"]),
    ("users.messages.contentcard.Click", "users_messages_contentcard_click", ["timezone", "platform"]),
    ("users.messages.contentcard.Dismiss", "users_messages_contentcard_dismiss", ["timezone", "platform"]),
    ("users.messages.contentcard.Impression", "users_messages_contentcard_impression", ["timezone", "platform"]),
    ("users.messages.contentcard.Send", "users_messages_contentcard_send", ["timezone"]),
    ("users.messages.email.Abort", "users_messages_email_abort", ["timezone"]),
    ("users.messages.email.Bounce", "users_messages_email_bounce", ["timezone"]),
    ("users.messages.email.Click", "users_messages_email_click", ["timezone"]),
    ("users.messages.email.Deferral", "users_messages_email_deferral", ["timezone"]),
    ("users.messages.email.Delivery", "users_messages_email_delivery", ["timezone"]),
    ("users.messages.email.MarkAsSpam", "users_messages_email_mark_as_spam", ["timezone"]),
    ("users.messages.email.Open", "users_messages_email_open", ["timezone"]),
    ("users.messages.email.Retry", "users_messages_email_retry", ["timezone"]),
    ("users.messages.email.Send", "users_messages_email_send", ["timezone"]),
    ("users.messages.email.SoftBounce", "users_messages_email_soft_bounce", ["timezone"]),
    ("users.messages.email.Unsubscribe", "users_messages_email_unsubscribe", ["timezone"]),
    ("users.messages.featureflag.Impression", "users_messages_featureflag_impression", ["timezone", "platform"]),
    ("users.messages.inappmessage.Abort", "users_messages_inappmessage_abort", ["timezone", "platform"]),
    ("users.messages.inappmessage.Click", "users_messages_inappmessage_click", ["timezone", "platform"]),
    ("users.messages.inappmessage.Impression", "users_messages_inappmessage_impression", ["timezone", "platform"]),
    ("users.messages.line.Abort", "users_messages_line_abort", ["timezone"]),
    ("users.messages.line.Click", "users_messages_line_click", ["timezone"]),
    ("users.messages.line.InboundReceive", "users_messages_line_inbound_receive", ["timezone"]),
    ("users.messages.line.Retry", "users_messages_line_retry", ["timezone"]),
    ("users.messages.line.Send", "users_messages_line_send", ["timezone"]),
    ("users.messages.liveactivity.Outcome", "users_messages_liveactivity_outcome", []),
    ("users.messages.liveactivity.Send", "users_messages_liveactivity_send", []),
    ("users.messages.pushnotification.Abort", "users_messages_pushnotification_abort", ["timezone", "platform"]),
    ("users.messages.pushnotification.Bounce", "users_messages_pushnotification_bounce", ["timezone", "platform"]),
    ("users.messages.pushnotification.IosForeground", "users_messages_pushnotification_ios_foreground", ["timezone", "platform"]),
    ("users.messages.pushnotification.Open", "users_messages_pushnotification_open", ["timezone", "platform"]),
    ("users.messages.pushnotification.Retry", "users_messages_pushnotification_retry", ["timezone", "platform"]),
    ("users.messages.pushnotification.Send", "users_messages_pushnotification_send", ["timezone", "platform"]),
    ("users.messages.rcs.Abort", "users_messages_rcs_abort", []),
    ("users.messages.rcs.Click", "users_messages_rcs_click", []),
    ("users.messages.rcs.Delivery", "users_messages_rcs_delivery", []),
    ("users.messages.rcs.InboundReceive", "users_messages_rcs_inbound_receive", []),
    ("users.messages.rcs.Read", "users_messages_rcs_read", []),
    ("users.messages.rcs.Rejection", "users_messages_rcs_rejection", []),
    ("users.messages.rcs.Send", "users_messages_rcs_send", []),
    ("users.messages.sms.Abort", "users_messages_sms_abort", []),
    ("users.messages.sms.CarrierSend", "users_messages_sms_carrier_send", ["timezone"]),
    ("users.messages.sms.Delivery", "users_messages_sms_delivery", ["timezone"]),
    ("users.messages.sms.DeliveryFailure", "users_messages_sms_delivery_failure", ["timezone"]),
    ("users.messages.sms.InboundReceive", "users_messages_sms_inbound_receive", []),
    ("users.messages.sms.Rejection", "users_messages_sms_rejection", ["timezone"]),
    ("users.messages.sms.Retry", "users_messages_sms_retry", []),
    ("users.messages.sms.Send", "users_messages_sms_send", ["timezone"]),
    ("users.messages.sms.ShortLinkClick", "users_messages_sms_short_link_click", ["timezone"]),
    ("users.messages.webhook.Abort", "users_messages_webhook_abort", ["timezone"]),
    ("users.messages.webhook.Failure", "users_messages_webhook_failure", []),
    ("users.messages.webhook.Retry", "users_messages_webhook_retry", ["timezone"]),
    ("users.messages.webhook.Send", "users_messages_webhook_send", ["timezone"]),
    ("users.messages.whatsapp.Abort", "users_messages_whatsapp_abort", ["timezone"]),
    ("users.messages.whatsapp.Click", "users_messages_whatsapp_click", ["timezone"]),
    ("users.messages.whatsapp.Delivery", "users_messages_whatsapp_delivery", ["timezone"]),
    ("users.messages.whatsapp.Failure", "users_messages_whatsapp_failure", ["timezone"]),
    ("users.messages.whatsapp.InboundReceive", "users_messages_whatsapp_inbound_receive", ["timezone"]),
    ("users.messages.whatsapp.Read", "users_messages_whatsapp_read", ["timezone"]),
    ("users.messages.whatsapp.Retry", "users_messages_whatsapp_retry", ["timezone"]),
    ("users.messages.whatsapp.Send", "users_messages_whatsapp_send", ["timezone"]),
    ("users.profile.Update", "users_profile_update", ["timezone"]),
    ("users.RandomBucketNumberUpdate", "users_random_bucket_number_update", []),
    ("users.UserDeleteRequest", "users_user_delete_request", []),
    ("users.UserOrphan", "users_user_orphan", []),
] %}
with
    counts as (
        {%- for event_type, table, shape in event_types %}
            select
                '{{ event_type }}' as event_type,
                cast(_hour as date) as delivered_day,
                {#- A test event names a workspace that is none. Where it cannot be told, no event names one. -#}
                {% if shape %}
                    case
                        when not {{ is_test_event(shape) }}
                        then {{ blank_to_null("app_group_id") }}
                    end as app_group_id,
                {% else %} cast(null as {{ column_type("string") }}) as app_group_id,
                {% endif %}
                count(*) as delivered_events,
                count(case when {{ is_unusable_event() }} then 1 end) as unusable_events
            from {{ source("currents", table) }}
            where
                {{ in_rebuild_window("_hour", before_days=1, after_days=1) }}
                and {{ in_rebuild_window("cast(_hour as date)", kind="date") }}
            group by 1, 2, 3 {{ "union all" if not loop.last }}
        {%- endfor %}
    )
select
    concat(
        cast(delivered_day as {{ column_type("string") }}),
        '|',
        event_type,
        '|',
        coalesce(app_group_id, '')
    ) as audit_key,
    delivered_day,
    event_type,
    app_group_id,
    {{ whole_sum("delivered_events") }} as delivered_events,
    {{ whole_sum("unusable_events") }} as unusable_events
from counts
group by audit_key, delivered_day, event_type, app_group_id
