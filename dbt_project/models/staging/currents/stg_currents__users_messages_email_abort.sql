{{
    staged_message(
        source("currents", "users_messages_email_abort"),
        absent=["app_id"],
        failure_code="abort_type",
        sender=["ip_pool"],
        attempt_count="null",
    )
}}
