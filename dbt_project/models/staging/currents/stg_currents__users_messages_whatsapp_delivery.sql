{{
    staged_message(
        source("currents", "users_messages_whatsapp_delivery"),
        absent=["app_id"],
    )
}}
