{{
    staged_event(
        source("currents", "users_behaviors_pushnotification_token_state_change"),
        fields=["app_id", "platform", "push_token_state_change_type"],
        computed={"push_token": blank_to_null("push_token"), "device_id": blank_to_null("push_token_device_id"), "changed_at_milliseconds": "coalesce(time_ms, case when " ~ is_epoch_time("time") ~ " then time * 1000 end)", "is_provisionally_opted_in": "coalesce(push_token_provisionally_opted_in, false)", "is_foreground_push_disabled": "coalesce(push_token_foreground_push_disabled, false)"},
        shape=["platform"],
    )
}}
