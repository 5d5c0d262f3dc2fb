{{
    staged_event(
        source("currents", "users_canvasstep_progression"),
        fields=["canvas_id", "canvas_name", "canvas_variation_id", "canvas_step_id", "canvas_step_name", "progression_type", "is_canvas_entry", "exit_reason", "canvas_entry_id", "next_step_id"],
    )
}}
