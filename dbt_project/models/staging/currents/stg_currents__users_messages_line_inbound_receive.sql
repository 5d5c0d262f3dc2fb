{{
    staged_message(
        source("currents", "users_messages_line_inbound_receive"),
        absent=["message_variation_name", "canvas_name", "app_id"],
    )
}}
