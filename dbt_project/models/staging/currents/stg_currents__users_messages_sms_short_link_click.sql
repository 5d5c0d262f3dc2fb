{{
    staged_message(
        source("currents", "users_messages_sms_short_link_click"),
        absent=["dispatch_id", "send_id", "app_id"],
        is_suspected_bot_click="coalesce(is_suspected_bot_click, false)",
    )
}}
