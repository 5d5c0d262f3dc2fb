{%- set counts = {
    "is_entered": "entered_users",
    "is_control": "control_users",
    "is_at_step": "users_at_step",
    "is_sent": "users_sent",
    "has_human_open": "unique_human_opens",
    "has_human_click": "unique_human_clicks",
    "has_advanced": "advanced_users",
    "has_exited_by_event": "exited_by_event_users",
    "has_exited_by_audience": "exited_by_audience_users",
    "has_exited_otherwise": "exited_otherwise_users",
    "has_conversion_0": "conversions",
    "has_conversion_1": "conversions_b",
    "has_conversion_2": "conversions_c",
    "has_conversion_3": "conversions_d",
} -%}
with
    people as (
        select
            profiles.canvas_id,
            profiles.canvas_variation_id,
            profiles.canvas_step_id,
            identity.user_key
            {%- for flag in counts %}
                , max(case when profiles.{{ flag }} then 1 else 0 end) as {{ flag }}
            {%- endfor %}
        from {{ ref("int_canvas_step_profiles") }} as profiles
        inner join
            {{ ref("int_user_identity") }} as identity
            on profiles.braze_user_id = identity.braze_user_id
        group by
            profiles.canvas_id,
            profiles.canvas_variation_id,
            profiles.canvas_step_id,
            identity.user_key
    ),
    steps as (
        select
            canvas_id,
            canvas_variation_id,
            canvas_step_id,
            {%- for flag, column in counts.items() %}
                {{ whole_sum(flag) }} as {{ column }},
            {%- endfor %}
            {{
                whole_sum(
                    "is_at_step * greatest(has_exited_by_event, has_exited_by_audience, has_exited_otherwise)"
                )
            }}
            as exited_users,
            {{
                whole_sum(
                    "is_at_step * (1 - greatest(has_advanced, has_exited_by_event, has_exited_by_audience, has_exited_otherwise))"
                )
            }}
            as stayed_users
        from people
        group by canvas_id, canvas_variation_id, canvas_step_id
    ),
    variation_names as (
        select id, name
        from {{ ref("int_message_names") }}
        where kind = 'canvas_variation' and name is not null
        qualify row_number() over (partition by id order by last_seen_at desc, name) = 1
    ),
    workspace_variations as (
        select canvas_variation_id, canvas_variation_name
        from {{ ref("stg_braze_workspace__canvas_variants") }}
        where is_current
    )
select
    concat(
        steps.canvas_id, '|', steps.canvas_variation_id, '|', steps.canvas_step_id
    ) as canvas_journey_key,
    steps.canvas_id,
    canvases.canvas_name,
    steps.canvas_variation_id,
    coalesce(
        workspace_variations.canvas_variation_name, variation_names.name
    ) as canvas_variation_name,
    steps.canvas_step_id,
    canvas_steps.canvas_step_name,
    canvas_steps.step_type,
    {%- for column in counts.values() %} steps.{{ column }}, {%- endfor %}
    steps.exited_users,
    steps.stayed_users,
    case
        when steps.advanced_users > 0
        then 1 - steps.advanced_users * 1.0 / nullif(steps.users_at_step, 0)
    end as drop_off_rate,
    steps.conversions
    * 1.0
    / nullif(greatest(steps.users_at_step, steps.control_users), 0) as conversion_rate
from steps
left join {{ ref("dim_canvas") }} as canvases on steps.canvas_id = canvases.canvas_id
left join
    {{ ref("dim_canvas_step") }} as canvas_steps
    on steps.canvas_step_id = canvas_steps.canvas_step_id
left join variation_names on steps.canvas_variation_id = variation_names.id
left join
    workspace_variations
    on steps.canvas_variation_id = workspace_variations.canvas_variation_id
