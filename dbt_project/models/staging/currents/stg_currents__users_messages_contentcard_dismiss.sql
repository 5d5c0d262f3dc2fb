{{
    staged_message(
        source("currents", "users_messages_contentcard_dismiss"),
        absent=["dispatch_id"],
        shape=["timezone", "platform"],
    )
}}
