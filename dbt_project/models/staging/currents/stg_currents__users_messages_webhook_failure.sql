{{
    staged_message(
        source("currents", "users_messages_webhook_failure"),
        absent=["app_id"],
        shape=[],
        failure_code="http_status_code",
    )
}}
