{{
    staged_message(
        source("currents", "users_messages_pushnotification_send"),
        shape=["timezone", "platform"],
    )
}}
