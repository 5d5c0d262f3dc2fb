{{
    staged_event(
        source("currents", "users_canvas_entry"),
        fields=["canvas_id", "canvas_name", "canvas_variation_id", "canvas_variation_name", "canvas_step_id", "canvas_step_name", "in_control_group"],
        shape=["timezone"],
    )
}}
