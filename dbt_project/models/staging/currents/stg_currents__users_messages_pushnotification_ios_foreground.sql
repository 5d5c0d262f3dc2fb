{{
    staged_message(
        source("currents", "users_messages_pushnotification_ios_foreground"),
        shape=["timezone", "platform"],
    )
}}
