{{
    staged_event(
        source("currents", "users_behaviors_purchase"),
        fields=["product_id", "currency", "properties", "app_id", "platform"],
        computed={"price": rounded_to_minor_unit("price", "currency"), "category": json_text("properties", "category"), "order_id": json_text("properties", "order_id")},
        shape=["platform", "currency"],
    )
}}
