{{
    staged_event(
        source("currents", "users_behaviors_subscription_global_state_change"),
        fields=["channel", "subscription_status", "state_change_source", "campaign_id", "canvas_id", "canvas_step_id"],
        shape=["timezone", "channel"],
    )
}}
