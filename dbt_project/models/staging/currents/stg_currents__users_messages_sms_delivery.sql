{{
    staged_message(
        source("currents", "users_messages_sms_delivery"),
        absent=["app_id"],
    )
}}
