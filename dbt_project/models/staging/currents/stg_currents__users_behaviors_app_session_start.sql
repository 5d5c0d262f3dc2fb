{{
    staged_event(
        source("currents", "users_behaviors_app_session_start"),
        fields=["session_id", "app_id", "platform", "device_id"],
        shape=["platform"],
    )
}}
