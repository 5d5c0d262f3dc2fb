{{
    staged_message(
        source("currents", "users_messages_pushnotification_bounce"),
        shape=["timezone", "platform"],
    )
}}
