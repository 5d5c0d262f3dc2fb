{{
    staged_message(
        source("currents", "users_messages_contentcard_click"),
        absent=["dispatch_id"],
        shape=["timezone", "platform"],
    )
}}
