{{
    staged_message(
        source("currents", "users_messages_email_click"),
        absent=["app_id"],
        is_suspected_bot_click="coalesce(is_suspected_bot_click, false)",
        sender=["from_domain", "ip_pool", "esp", "mailbox_provider"],
        attempt_count="null",
    )
}}
