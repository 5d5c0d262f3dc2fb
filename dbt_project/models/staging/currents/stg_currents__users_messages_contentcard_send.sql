{{
    staged_message(
        source("currents", "users_messages_contentcard_send"),
        absent=["dispatch_id", "app_id"],
    )
}}
