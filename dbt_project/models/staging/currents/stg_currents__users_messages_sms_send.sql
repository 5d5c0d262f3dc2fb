{{
    staged_message(
        source("currents", "users_messages_sms_send"),
        absent=["app_id"],
    )
}}
