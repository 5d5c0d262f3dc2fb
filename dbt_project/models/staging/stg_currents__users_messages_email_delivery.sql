{{
    staged_message(
        source("currents", "users_messages_email_delivery"),
        absent=["app_id"],
    )
}}
