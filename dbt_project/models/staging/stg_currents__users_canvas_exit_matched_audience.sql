{{
    staged_event(
        source("currents", "users_canvas_exit_matched_audience"),
        fields=["canvas_id", "canvas_name", "canvas_variation_id", "canvas_step_id", "canvas_step_name"],
    )
}}
