{{
    staged_message(
        source("currents", "users_messages_banner_abort"),
        absent=["dispatch_id", "send_id"],
        shape=["timezone", "platform"],
        failure_code="abort_type",
    )
}}
