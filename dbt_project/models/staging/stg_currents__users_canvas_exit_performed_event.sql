{#- The ids without api in their name are internal ones in workspaces of some age; other events carry API ids. -#}
{{
    staged_event(
        source("currents", "users_canvas_exit_performed_event"),
        fields=["canvas_name", "canvas_step_name"],
        computed={
            "canvas_id": blank_to_null("coalesce(" ~ blank_to_null("canvas_api_id") ~ ", canvas_id)"),
            "canvas_variation_id": blank_to_null("coalesce(" ~ blank_to_null("canvas_variation_api_id") ~ ", canvas_variation_id)"),
            "canvas_step_id": blank_to_null("coalesce(" ~ blank_to_null("canvas_step_api_id") ~ ", canvas_step_id)"),
        },
    )
}}
