{{
    staged_message(
        source("currents", "users_messages_email_soft_bounce"),
        absent=["app_id"],
    )
}}
