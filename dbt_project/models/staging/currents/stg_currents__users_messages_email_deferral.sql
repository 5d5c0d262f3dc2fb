{{
    staged_message(
        source("currents", "users_messages_email_deferral"),
        absent=["app_id"],
        sender=["from_domain", "ip_pool", "sending_ip", "esp"],
        attempt_count="attempt_count",
    )
}}
