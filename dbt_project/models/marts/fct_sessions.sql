{{ config(materialized="view", meta={"rebuild": {"column": "delivered_hour"}}) }}
select
    sessions.session_start_event_id,
    sessions.session_id,
    identity.user_key,
    identity.surviving_external_id as external_id,
    identity.is_deleted as is_deleted_user,
    sessions.started_at,
    sessions.ended_at,
    sessions.ended_at is not null as has_end,
    sessions.duration_seconds,
    sessions.device_duration_seconds,
    sessions.day,
    sessions.delivered_hour,
    sessions.app_id,
    sessions.platform
from {{ ref("int_app_sessions") }} as sessions
left join
    {{ ref("int_user_identity") }} as identity
    on sessions.braze_user_id = identity.braze_user_id
