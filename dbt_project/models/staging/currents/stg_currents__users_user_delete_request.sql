{{
    staged_event(
        source("currents", "users_user_delete_request"),
        has_external_id=false,
    )
}}
