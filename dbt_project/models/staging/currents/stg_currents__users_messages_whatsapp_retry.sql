{{
    staged_message(
        source("currents", "users_messages_whatsapp_retry"),
        absent=["send_id", "app_id"],
        failure_code="retry_type",
    )
}}
