{#- What was once so of a profile at a step stays so: see int_campaign_profiles. -#}
{{
    config(
        materialized="incremental",
        unique_key="canvas_step_profile_key",
        cluster_by=["canvas_id"],
    )
}}
{%- set flags = [
    "is_entered",
    "is_control",
    "is_at_step",
    "is_sent",
    "has_human_open",
    "has_human_click",
    "has_advanced",
    "has_exited_by_audience",
    "has_exited_by_event",
    "has_exited_otherwise",
    "has_conversion_0",
    "has_conversion_1",
    "has_conversion_2",
    "has_conversion_3",
] -%}
{#- Model, id of the step, and which flags an event sets under which condition. -#}
{%- set evidence = [
    (
        "stg_currents__users_canvas_entry",
        "canvas_step_id",
        {
            "is_entered": "true",
            "is_control": "in_control_group",
            "is_at_step": "not coalesce(in_control_group, false)",
        },
    ),
    (
        "int_message_events",
        "canvas_step_id",
        {
            "is_at_step": "is_send",
            "is_sent": "is_send",
            "has_human_open": "action in ('open', 'read') and is_human_response",
            "has_human_click": "action = 'click' and is_human_response",
        },
    ),
    (
        "stg_currents__users_canvasstep_progression",
        "canvas_step_id",
        {
            "is_at_step": "true",
            "has_advanced": "next_step_id is not null",
            "has_exited_otherwise": "next_step_id is null and exit_reason is not null",
        },
    ),
    (
        "stg_currents__users_canvasstep_progression",
        "next_step_id",
        {"is_at_step": "next_step_id is not null"},
    ),
    (
        "stg_currents__users_canvas_experimentstep_split_entry",
        "canvas_step_id",
        {"is_at_step": "true"},
    ),
    (
        "stg_currents__users_canvas_exit_matched_audience",
        "canvas_step_id",
        {"is_at_step": "true", "has_exited_by_audience": "true"},
    ),
    (
        "stg_currents__users_canvas_exit_performed_event",
        "canvas_step_id",
        {"is_at_step": "true", "has_exited_by_event": "true"},
    ),
    (
        "stg_currents__users_canvas_conversion",
        "canvas_step_id",
        {
            "has_conversion_0": "conversion_behavior_index = 0",
            "has_conversion_1": "conversion_behavior_index = 1",
            "has_conversion_2": "conversion_behavior_index = 2",
            "has_conversion_3": "conversion_behavior_index = 3",
        },
    ),
] -%}
with
    events as (
        {%- for model, step, set_flags in evidence %}
            select
                canvas_id,
                coalesce(canvas_variation_id, 'none') as canvas_variation_id,
                coalesce({{ step }}, 'none') as canvas_step_id,
                braze_user_id
                {%- for flag in flags %}
                    ,
                    {{ "case when " ~ set_flags[flag] ~ " then 1 else 0 end" if flag in set_flags else "0" }}
                    as {{ flag }}
                {%- endfor %}
            from {{ ref(model) }}
            where
                canvas_id is not null
                and braze_user_id is not null
                and {{ in_rebuild_window("delivered_hour") }}
                {%- if step == "next_step_id" %}
                    and next_step_id is not null
                {%- endif %}
            {%- if not loop.last %}
                union all
            {%- endif %}
        {%- endfor %}
    )
    {{
        ever_set(
            "canvas_step_profile_key",
            ["canvas_id", "canvas_variation_id", "canvas_step_id", "braze_user_id"],
            flags,
        )
    }}
