{{
    staged_event(
        source("currents", "users_canvas_costep_send"),
        fields=["dispatch_id", "canvas_variation_id"],
    )
}}
