{{
    staged_message(
        source("currents", "users_messages_line_abort"),
        absent=["message_variation_name", "canvas_name", "app_id"],
        failure_code="abort_type",
    )
}}
