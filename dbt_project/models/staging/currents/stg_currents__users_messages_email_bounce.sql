{{
    staged_message(
        source("currents", "users_messages_email_bounce"),
        absent=["app_id"],
        failure_code="case when is_drop then 'dropped' else 'bounced' end",
        sender=["from_domain", "ip_pool", "sending_ip", "esp"],
        attempt_count="null",
    )
}}
