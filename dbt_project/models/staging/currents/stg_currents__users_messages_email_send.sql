{{
    staged_message(
        source("currents", "users_messages_email_send"),
        absent=["app_id"],
        sender=["from_domain", "ip_pool"],
        attempt_count="null",
    )
}}
