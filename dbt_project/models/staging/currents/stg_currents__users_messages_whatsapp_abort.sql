{{
    staged_message(
        source("currents", "users_messages_whatsapp_abort"),
        absent=["send_id", "app_id"],
        failure_code="abort_type",
    )
}}
