{{
    staged_event(
        source("currents", "users_behaviors_uninstall"),
        fields=["app_id", "device_id"],
    )
}}
