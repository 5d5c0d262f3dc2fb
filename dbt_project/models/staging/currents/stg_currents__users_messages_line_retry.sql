{{
    staged_message(
        source("currents", "users_messages_line_retry"),
        absent=["message_variation_name", "canvas_name", "app_id"],
        failure_code="retry_type",
    )
}}
