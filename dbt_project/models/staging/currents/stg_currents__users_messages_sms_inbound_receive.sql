{{
    staged_message(
        source("currents", "users_messages_sms_inbound_receive"),
        absent=["dispatch_id", "send_id", "app_id"],
        shape=[],
    )
}}
