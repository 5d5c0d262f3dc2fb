{{
    staged_message(
        source("currents", "users_messages_email_send"),
        absent=["app_id"],
    )
}}
