{{
    staged_event(
        source("currents", "users_behaviors_location"),
        fields=["app_id", "platform"],
        shape=["platform"],
    )
}}
