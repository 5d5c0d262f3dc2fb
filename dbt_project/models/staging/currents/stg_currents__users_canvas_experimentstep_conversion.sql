{{
    staged_event(
        source("currents", "users_canvas_experimentstep_conversion"),
        fields=["canvas_id", "canvas_name", "canvas_variation_id", "canvas_step_id", "canvas_step_name", "experiment_step_id", "experiment_split_id", "experiment_split_name", "conversion_behavior_index"],
    )
}}
