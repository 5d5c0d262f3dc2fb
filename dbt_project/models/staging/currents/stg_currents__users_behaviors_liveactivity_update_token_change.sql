{{
    staged_event(
        source("currents", "users_behaviors_liveactivity_update_token_change"),
        fields=["app_id"],
    )
}}
