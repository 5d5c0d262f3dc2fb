{{
    staged_message(
        source("currents", "users_messages_email_mark_as_spam"),
        absent=["app_id"],
    )
}}
