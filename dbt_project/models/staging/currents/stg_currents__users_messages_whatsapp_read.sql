{{
    staged_message(
        source("currents", "users_messages_whatsapp_read"),
        absent=["app_id"],
    )
}}
