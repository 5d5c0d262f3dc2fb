{{
    staged_message(
        source("currents", "users_messages_webhook_send"),
        absent=["app_id"],
    )
}}
