{{
    staged_message(
        source("currents", "users_messages_email_mark_as_spam"),
        absent=["app_id"],
        sender=["from_domain", "ip_pool", "esp"],
        attempt_count="null",
    )
}}
