{{
    staged_message(
        source("currents", "users_messages_banner_click"),
        absent=["dispatch_id", "send_id"],
        shape=["timezone", "platform"],
    )
}}
