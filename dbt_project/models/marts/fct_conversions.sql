{{ config(materialized="view", meta={"rebuild": {"column": "delivered_hour"}}) }}
select
    conversions.conversion_event_id,
    conversions.kind,
    conversions.converted_at,
    conversions.day,
    conversions.delivered_hour,
    identity.user_key,
    identity.surviving_external_id as external_id,
    identity.is_deleted as is_deleted_user,
    conversions.campaign_id,
    conversions.canvas_id,
    conversions.conversion_index,
    conversions.attribution_method,
    conversions.attributed_send_event_id,
    conversions.attributed_channel,
    conversions.attributed_campaign_id,
    conversions.attributed_canvas_id,
    conversions.attributed_canvas_step_id,
    conversions.attributed_message_variation_id,
    conversions.touched_at,
    conversions.sent_at,
    conversions.seconds_since_touch,
    conversions.currency,
    conversions.revenue,
    round(
        conversions.revenue * {{ eur_per_unit("conversions.currency") }}, 2
    ) as revenue_eur
from {{ ref("int_conversion_attribution") }} as conversions
left join
    {{ ref("int_user_identity") }} as identity
    on conversions.braze_user_id = identity.braze_user_id
