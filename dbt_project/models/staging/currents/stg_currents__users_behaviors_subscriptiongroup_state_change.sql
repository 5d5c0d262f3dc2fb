{{
    staged_event(
        source("currents", "users_behaviors_subscriptiongroup_state_change"),
        fields=["subscription_group_id", "channel", "subscription_status", "state_change_source", "campaign_id", "canvas_id", "canvas_step_id"],
        shape=["timezone", "channel"],
    )
}}
