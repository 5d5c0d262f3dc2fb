{{
    staged_message(
        source("currents", "users_messages_rcs_rejection"),
        absent=["app_id"],
        shape=[],
        failure_code="provider_error_code",
    )
}}
