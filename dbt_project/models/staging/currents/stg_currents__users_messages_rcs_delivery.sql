{{
    staged_message(
        source("currents", "users_messages_rcs_delivery"),
        absent=["app_id"],
        shape=[],
    )
}}
