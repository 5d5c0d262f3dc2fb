{{
    staged_event(
        source("currents", "users_user_orphan"),
        computed={"surviving_braze_user_id": blank_to_null("orphaned_by_id")},
    )
}}
