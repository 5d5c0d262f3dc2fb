{{
    staged_event(
        source("currents", "users_behaviors_custom_event"),
        fields=["name", "properties", "app_id", "platform"],
        computed={"category": json_text("properties", "category")},
        shape=["timezone", "platform"],
    )
}}
