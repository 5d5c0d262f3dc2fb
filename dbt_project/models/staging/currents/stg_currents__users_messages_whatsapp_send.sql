{{
    staged_message(
        source("currents", "users_messages_whatsapp_send"),
        absent=["app_id"],
    )
}}
