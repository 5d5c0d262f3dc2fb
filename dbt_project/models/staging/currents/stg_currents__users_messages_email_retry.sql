{{
    staged_message(
        source("currents", "users_messages_email_retry"),
        absent=["app_id"],
        failure_code="retry_type",
        sender=["ip_pool"],
        attempt_count="null",
    )
}}
