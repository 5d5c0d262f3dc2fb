{{
    staged_message(
        source("currents", "users_messages_email_open"),
        absent=["app_id"],
        is_machine_open="coalesce(machine_open = 'true', false)",
        sender=["from_domain", "ip_pool", "esp", "mailbox_provider"],
        attempt_count="null",
    )
}}
