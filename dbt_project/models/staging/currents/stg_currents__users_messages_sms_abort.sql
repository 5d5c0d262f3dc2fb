{{
    staged_message(
        source("currents", "users_messages_sms_abort"),
        absent=["dispatch_id", "send_id", "app_id"],
        shape=[],
        failure_code="abort_type",
    )
}}
