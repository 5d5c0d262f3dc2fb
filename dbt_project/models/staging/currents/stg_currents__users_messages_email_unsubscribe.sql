{{
    staged_message(
        source("currents", "users_messages_email_unsubscribe"),
        absent=["app_id"],
        sender=["ip_pool"],
        attempt_count="null",
    )
}}
