{{
    staged_message(
        source("currents", "users_messages_banner_impression"),
        absent=["dispatch_id", "send_id"],
        shape=["timezone", "platform"],
    )
}}
