{{
    staged_message(
        source("currents", "users_messages_email_unsubscribe"),
        absent=["app_id"],
    )
}}
