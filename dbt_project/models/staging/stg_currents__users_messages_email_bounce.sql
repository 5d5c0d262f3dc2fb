{{
    staged_message(
        source("currents", "users_messages_email_bounce"),
        absent=["app_id"],
    )
}}
