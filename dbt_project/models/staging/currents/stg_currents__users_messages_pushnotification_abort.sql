{{
    staged_message(
        source("currents", "users_messages_pushnotification_abort"),
        shape=["timezone", "platform"],
        failure_code="abort_type",
    )
}}
