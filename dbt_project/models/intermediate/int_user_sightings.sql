{{ config(materialized="incremental", unique_key="sighting_key", cluster_by=["braze_user_id"]) }}
{%- set sighting_models = [
    "int_message_events",
    "stg_currents__users_campaigns_conversion",
    "stg_currents__users_campaigns_enroll_in_control",
    "stg_currents__users_canvas_entry",
    "stg_currents__users_canvas_conversion",
    "stg_currents__users_canvas_exit_matched_audience",
    "stg_currents__users_canvas_exit_performed_event",
    "stg_currents__users_canvas_experimentstep_split_entry",
    "stg_currents__users_canvas_experimentstep_conversion",
    "stg_currents__users_canvasstep_progression",
    "stg_currents__users_behaviors_purchase",
    "stg_currents__users_behaviors_custom_event",
    "stg_currents__users_behaviors_app_first_session",
    "stg_currents__users_behaviors_app_session_start",
    "stg_currents__users_behaviors_app_session_end",
    "stg_currents__users_behaviors_uninstall",
    "stg_currents__users_behaviors_pushnotification_token_state_change",
    "stg_currents__users_behaviors_subscription_global_state_change",
    "stg_currents__users_behaviors_subscriptiongroup_state_change",
    "stg_currents__users_user_orphan",
    "stg_currents__users_profile_update",
    "stg_currents__users_random_bucket_number_update",
    "stg_currents__users_behaviors_install_attribution",
    "stg_currents__users_behaviors_location",
    "stg_currents__users_behaviors_liveactivity_push_to_start_token_change",
    "stg_currents__users_behaviors_liveactivity_update_token_change",
    "stg_currents__users_canvas_costep_send",
    "stg_currents__agentconsole_agent_executed",
] -%}
{%- set no_external_id = "cast(null as " ~ column_type("string") ~ ")" -%}
with
    events as (
        {% for model in sighting_models %}
            select braze_user_id, external_id, event_at
            from {{ ref(model) }}
            where
                {{ in_rebuild_window("delivered_hour") }} and braze_user_id is not null
            union all
        {% endfor %}
        select
            surviving_braze_user_id as braze_user_id,
            {{ no_external_id }} as external_id,
            event_at
        from {{ ref("stg_currents__users_user_orphan") }}
        where
            {{ in_rebuild_window("delivered_hour") }}
            and surviving_braze_user_id is not null
        union all
        select braze_user_id, {{ no_external_id }} as external_id, event_at
        from {{ ref("stg_currents__users_user_delete_request") }}
        where {{ in_rebuild_window("delivered_hour") }} and braze_user_id is not null
    ),
    seen as (
        select
            braze_user_id,
            external_id,
            min(event_at) as first_seen_at,
            max(event_at) as last_seen_at
        from events
        group by braze_user_id, external_id
        {% if is_incremental() %}
            union all
            select
                known.braze_user_id,
                known.external_id,
                known.first_seen_at,
                known.last_seen_at
            from {{ this }} as known
            where known.braze_user_id in (select braze_user_id from events)
        {% endif %}
    )
select
    concat(braze_user_id, '|', coalesce(external_id, '')) as sighting_key,
    braze_user_id,
    external_id,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from seen
group by braze_user_id, external_id
