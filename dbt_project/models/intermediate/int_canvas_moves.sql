{#- Moves between steps as events show them, one row per profile and move; what happened stays so: see int_campaign_profiles. -#}
{{
    config(
        materialized="incremental",
        unique_key="canvas_move_key",
        cluster_by=["canvas_id"],
    )
}}
with
    events as (
        select
            canvas_id,
            coalesce(canvas_variation_id, 'none') as canvas_variation_id,
            'entry' as from_node,
            coalesce(canvas_step_id, 'none') as to_node,
            'entry' as move,
            braze_user_id,
            1 as is_made
        from {{ ref("stg_currents__users_canvas_entry") }}
        where
            canvas_id is not null
            and braze_user_id is not null
            and not coalesce(in_control_group, false)
            and {{ in_rebuild_window("delivered_hour") }}
        union all
        select
            canvas_id,
            coalesce(canvas_variation_id, 'none') as canvas_variation_id,
            coalesce(canvas_step_id, 'none') as from_node,
            coalesce(next_step_id, concat('exit: ', exit_reason)) as to_node,
            case when next_step_id is null then 'exit' else 'advance' end as move,
            braze_user_id,
            1 as is_made
        from {{ ref("stg_currents__users_canvasstep_progression") }}
        where
            canvas_id is not null
            and braze_user_id is not null
            and (next_step_id is not null or exit_reason is not null)
            and {{ in_rebuild_window("delivered_hour") }}
        union all
        select
            canvas_id,
            coalesce(canvas_variation_id, 'none') as canvas_variation_id,
            coalesce(canvas_step_id, 'none') as from_node,
            'exit: matched audience' as to_node,
            'exit' as move,
            braze_user_id,
            1 as is_made
        from {{ ref("stg_currents__users_canvas_exit_matched_audience") }}
        where
            canvas_id is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
        union all
        select
            canvas_id,
            coalesce(canvas_variation_id, 'none') as canvas_variation_id,
            coalesce(canvas_step_id, 'none') as from_node,
            'exit: performed event' as to_node,
            'exit' as move,
            braze_user_id,
            1 as is_made
        from {{ ref("stg_currents__users_canvas_exit_performed_event") }}
        where
            canvas_id is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
    )
    {{
        ever_set(
            "canvas_move_key",
            ["canvas_id", "canvas_variation_id", "from_node", "to_node", "move", "braze_user_id"],
            ["is_made"],
        )
    }}
