{{
    staged_event(
        source("currents", "users_profile_update"),
        fields=["update_source", "custom_attributes", "time_ms"],
        shape=["timezone"],
    )
}}
