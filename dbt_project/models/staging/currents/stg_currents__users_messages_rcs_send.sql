{{
    staged_message(
        source("currents", "users_messages_rcs_send"),
        absent=["app_id"],
        shape=[],
    )
}}
