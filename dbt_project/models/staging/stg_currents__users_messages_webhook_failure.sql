{{
    staged_message(
        source("currents", "users_messages_webhook_failure"),
        absent=["app_id"],
        shape=[],
        failure_code="cast(http_status_code as " ~ column_type("string") ~ ")",
    )
}}
