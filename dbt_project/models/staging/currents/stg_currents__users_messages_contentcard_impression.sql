{{
    staged_message(
        source("currents", "users_messages_contentcard_impression"),
        absent=["dispatch_id"],
        shape=["timezone", "platform"],
    )
}}
