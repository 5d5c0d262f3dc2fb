{{
    staged_message(
        source("currents", "users_messages_inappmessage_abort"),
        shape=["timezone", "platform"],
        failure_code="abort_type",
    )
}}
