{{
    staged_event(
        source("currents", "users_behaviors_app_session_end"),
        fields=["session_id", "app_id", "platform"],
        computed={"duration_seconds": "duration"},
        shape=["platform"],
    )
}}
