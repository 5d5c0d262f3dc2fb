{{
    staged_message(
        source("currents", "users_messages_whatsapp_click"),
        absent=["dispatch_id", "send_id", "app_id"],
    )
}}
