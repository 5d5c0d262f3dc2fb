{{ config(materialized="view", meta={"rebuild": {"column": "delivered_hour"}}) }}
select
    events.event_id as custom_event_id,
    events.name as event_name,
    events.event_at as occurred_at,
    events.day,
    events.delivered_hour,
    identity.user_key,
    identity.surviving_external_id as external_id,
    identity.is_deleted as is_deleted_user,
    events.category,
    events.properties,
    events.app_id,
    events.platform
from {{ ref("stg_currents__users_behaviors_custom_event") }} as events
left join
    {{ ref("int_user_identity") }} as identity
    on events.braze_user_id = identity.braze_user_id
