{{
    staged_event(
        source("currents", "users_behaviors_app_first_session"),
        fields=["session_id", "country", "language", "app_id", "platform"],
        shape=["timezone", "platform"],
    )
}}
