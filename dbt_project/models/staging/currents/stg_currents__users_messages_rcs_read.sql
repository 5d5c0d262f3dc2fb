{{
    staged_message(
        source("currents", "users_messages_rcs_read"),
        absent=["dispatch_id", "send_id", "app_id"],
        shape=[],
    )
}}
