{{
    staged_event(
        source("currents", "users_campaigns_conversion"),
        fields=["campaign_id", "campaign_name", "message_variation_id", "message_variation_name", "send_id", "app_id", "conversion_behavior_index", "conversion_behavior"],
        shape=["timezone"],
    )
}}
