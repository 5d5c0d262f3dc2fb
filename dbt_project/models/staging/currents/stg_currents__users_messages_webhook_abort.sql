{{
    staged_message(
        source("currents", "users_messages_webhook_abort"),
        absent=["app_id"],
        failure_code="abort_type",
    )
}}
