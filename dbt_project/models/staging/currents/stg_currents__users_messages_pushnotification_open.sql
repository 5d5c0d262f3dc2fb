{{
    staged_message(
        source("currents", "users_messages_pushnotification_open"),
        shape=["timezone", "platform"],
    )
}}
