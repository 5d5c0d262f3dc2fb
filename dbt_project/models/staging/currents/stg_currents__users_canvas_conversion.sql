{{
    staged_event(
        source("currents", "users_canvas_conversion"),
        fields=["canvas_id", "canvas_name", "canvas_variation_id", "canvas_step_id", "canvas_step_name", "app_id", "conversion_behavior_index", "conversion_behavior"],
        shape=["timezone"],
    )
}}
