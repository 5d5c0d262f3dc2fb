{{
    staged_message(
        source("currents", "users_messages_liveactivity_outcome"),
        absent=["campaign_id", "campaign_name", "message_variation_id", "message_variation_name", "canvas_id", "canvas_name", "canvas_variation_id", "canvas_step_id", "canvas_step_name", "dispatch_id", "send_id"],
        shape=[],
        failure_code="live_activity_event_outcome",
    )
}}
