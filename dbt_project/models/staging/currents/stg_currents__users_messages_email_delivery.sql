{{
    staged_message(
        source("currents", "users_messages_email_delivery"),
        absent=["app_id"],
        sender=["from_domain", "ip_pool", "sending_ip", "esp"],
        attempt_count="null",
    )
}}
