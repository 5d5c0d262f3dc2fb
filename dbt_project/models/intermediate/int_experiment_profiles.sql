{#- What was once so of a profile in an experiment stays so: see int_campaign_profiles. -#}
{{
    config(
        materialized="incremental",
        unique_key="experiment_profile_key",
        cluster_by=["experiment_step_id"],
    )
}}
with
    events as (
        select
            experiment_step_id,
            coalesce(experiment_split_id, 'none') as experiment_split_id,
            braze_user_id,
            1 as is_entered,
            case when in_control_group then 1 else 0 end as is_control
            {%- for index in range(4) %}, 0 as has_conversion_{{ index }}{% endfor %}
        from {{ ref("stg_currents__users_canvas_experimentstep_split_entry") }}
        where
            experiment_step_id is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
        union all
        select
            experiment_step_id,
            coalesce(experiment_split_id, 'none') as experiment_split_id,
            braze_user_id,
            0 as is_entered,
            0 as is_control
            {%- for index in range(4) %}
                ,
                case
                    when conversion_behavior_index = {{ index }} then 1 else 0
                end as has_conversion_{{ index }}
            {%- endfor %}
        from {{ ref("stg_currents__users_canvas_experimentstep_conversion") }}
        where
            experiment_step_id is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
    )
    {{
        ever_set(
            "experiment_profile_key",
            ["experiment_step_id", "experiment_split_id", "braze_user_id"],
            [
                "is_entered",
                "is_control",
                "has_conversion_0",
                "has_conversion_1",
                "has_conversion_2",
                "has_conversion_3",
            ],
        )
    }}
