{{
    staged_event(
        source("currents", "users_campaigns_enroll_in_control"),
        fields=["campaign_id", "campaign_name", "message_variation_id", "message_variation_name"],
        shape=["timezone"],
    )
}}
