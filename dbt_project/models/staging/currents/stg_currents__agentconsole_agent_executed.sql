{{
    staged_event(
        source("currents", "agentconsole_agent_executed"),
        fields=["canvas_id", "canvas_step_id"],
    )
}}
