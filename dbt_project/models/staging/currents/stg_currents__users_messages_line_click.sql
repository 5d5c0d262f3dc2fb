{{
    staged_message(
        source("currents", "users_messages_line_click"),
        absent=["message_variation_name", "canvas_name", "app_id"],
        is_suspected_bot_click="coalesce(is_suspected_bot_click, false)",
    )
}}
