{{
    staged_message(
        source("currents", "users_messages_rcs_click"),
        absent=["dispatch_id", "app_id"],
        shape=[],
        is_suspected_bot_click="coalesce(is_suspected_bot_click, false)",
    )
}}
