{{
    staged_message(
        source("currents", "users_messages_whatsapp_failure"),
        absent=["app_id"],
        failure_code="provider_error_code",
    )
}}
