{{
    staged_message(
        source("currents", "users_messages_sms_rejection"),
        absent=["app_id"],
        failure_code="provider_error_code",
    )
}}
