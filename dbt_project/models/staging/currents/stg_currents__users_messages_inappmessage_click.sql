{{
    staged_message(
        source("currents", "users_messages_inappmessage_click"),
        absent=["dispatch_id"],
        shape=["timezone", "platform"],
    )
}}
