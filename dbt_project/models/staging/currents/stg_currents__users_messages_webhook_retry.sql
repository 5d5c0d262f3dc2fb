{{
    staged_message(
        source("currents", "users_messages_webhook_retry"),
        absent=["app_id"],
        failure_code="retry_type",
    )
}}
