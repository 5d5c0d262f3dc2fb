{{
    staged_message(
        source("currents", "users_messages_pushnotification_retry"),
        shape=["timezone", "platform"],
        failure_code="retry_type",
    )
}}
