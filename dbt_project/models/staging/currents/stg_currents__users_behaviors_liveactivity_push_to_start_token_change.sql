{{
    staged_event(
        source("currents", "users_behaviors_liveactivity_push_to_start_token_change"),
        fields=["app_id"],
    )
}}
