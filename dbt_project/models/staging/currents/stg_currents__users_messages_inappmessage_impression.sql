{{
    staged_message(
        source("currents", "users_messages_inappmessage_impression"),
        absent=["dispatch_id"],
        shape=["timezone", "platform"],
    )
}}
