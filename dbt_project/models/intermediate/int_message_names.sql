{#- Names ride on events and change. First and last time only widen, so new hours are enough to keep them. -#}
{{ config(materialized="incremental", unique_key="naming_key") }}
{%- set things = [
    ("campaign", "campaign_id", "campaign_name", "cast(null as " ~ column_type("string") ~ ")"),
    ("canvas", "canvas_id", "canvas_name", "cast(null as " ~ column_type("string") ~ ")"),
    ("canvas_variation", "canvas_variation_id", "canvas_variation_name", "canvas_id"),
    ("canvas_step", "canvas_step_id", "canvas_step_name", "canvas_id"),
    ("experiment_step", "experiment_step_id", "canvas_step_name", "canvas_id"),
    (
        "experiment_split",
        "experiment_split_id",
        "experiment_split_name",
        "experiment_step_id",
    ),
    (
        "message_variation",
        "message_variation_id",
        "message_variation_name",
        "coalesce(canvas_step_id, campaign_id)",
    ),
] -%}
{%- set naming_models = {
    "int_message_events": ["campaign", "canvas", "canvas_step", "message_variation"],
    "stg_currents__users_campaigns_conversion": ["campaign", "message_variation_of_campaign"],
    "stg_currents__users_campaigns_enroll_in_control": ["campaign", "message_variation_of_campaign"],
    "stg_currents__users_canvas_entry": ["canvas", "canvas_variation", "canvas_step"],
    "stg_currents__users_canvas_conversion": ["canvas", "canvas_step"],
    "stg_currents__users_canvas_exit_matched_audience": ["canvas", "canvas_step"],
    "stg_currents__users_canvas_exit_performed_event": ["canvas", "canvas_step"],
    "stg_currents__users_canvas_experimentstep_split_entry": ["canvas", "canvas_step", "experiment_step", "experiment_split"],
    "stg_currents__users_canvas_experimentstep_conversion": ["canvas", "canvas_step", "experiment_step", "experiment_split"],
    "stg_currents__users_canvasstep_progression": ["canvas", "canvas_step"],
} -%}
with
    events as (
        {%- for model, named in naming_models.items() %}
            {%- set model_loop = loop %}
            {%- for kind, id, name, parent in things %}
                {%- if kind in named or (kind ~ "_of_campaign") in named %}
                    select
                        '{{ kind }}' as kind,
                        {{ id }} as id,
                        {{ name }} as name,
                        {{ "campaign_id" if (kind ~ "_of_campaign") in named else parent }}
                        as parent_id,
                        event_at
                    from {{ ref(model) }}
                    where
                        {{ id }} is not null
                        and {{ in_rebuild_window("delivered_hour") }}
                    union all
                {%- endif %}
            {%- endfor %}
        {%- endfor %}
        select
            'canvas_step' as kind,
            next_step_id as id,
            cast(null as {{ column_type("string") }}) as name,
            canvas_id as parent_id,
            event_at
        from {{ ref("stg_currents__users_canvasstep_progression") }}
        where next_step_id is not null and {{ in_rebuild_window("delivered_hour") }}
    ),
    seen as (
        select
            kind,
            id,
            parent_id,
            name,
            min(event_at) as first_seen_at,
            max(event_at) as last_seen_at
        from events
        group by kind, id, parent_id, name
        {% if is_incremental() %}
            union all
            select
                known.kind,
                known.id,
                known.parent_id,
                known.name,
                known.first_seen_at,
                known.last_seen_at
            from {{ this }} as known
        {% endif %}
    )
select
    concat(
        kind, '|', id, '|', coalesce(parent_id, ''), '|', coalesce(name, '')
    ) as naming_key,
    kind,
    id,
    parent_id,
    name,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from seen
group by kind, id, parent_id, name
