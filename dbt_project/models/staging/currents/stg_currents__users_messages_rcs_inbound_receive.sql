{{
    staged_message(
        source("currents", "users_messages_rcs_inbound_receive"),
        absent=["dispatch_id", "app_id"],
        shape=[],
    )
}}
