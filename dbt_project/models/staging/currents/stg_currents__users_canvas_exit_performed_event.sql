{{
    staged_event(
        source("currents", "users_canvas_exit_performed_event"),
        fields=["canvas_name", "canvas_step_name"],
        computed={"canvas_id": "coalesce(" ~ blank_to_null("canvas_api_id") ~ ", " ~ blank_to_null("canvas_id") ~ ")", "canvas_variation_id": "coalesce(" ~ blank_to_null("canvas_variation_api_id") ~ ", " ~ blank_to_null("canvas_variation_id") ~ ")", "canvas_step_id": "coalesce(" ~ blank_to_null("canvas_step_api_id") ~ ", " ~ blank_to_null("canvas_step_id") ~ ")"},
    )
}}
