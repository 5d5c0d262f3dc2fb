{{ config(materialized="incremental", unique_key="sighting_key", cluster_by=["braze_user_id"]) }}
{%- set no_external_id = "cast(null as " ~ column_type("string") ~ ")" -%}
with
    events as (
        select braze_user_id, external_id, event_at
        from {{ ref("int_message_events") }}
        where {{ in_rebuild_window("delivered_hour") }} and braze_user_id is not null
        {%- for type in staged_event_types() if type.action is not defined %}
            union all
            select
                braze_user_id,
                {{ "external_id" if type.has_external_id else no_external_id ~ " as external_id" }},
                event_at
            from {{ ref("stg_currents__" ~ type.table) }}
            where
                {{ in_rebuild_window("delivered_hour") }} and braze_user_id is not null
        {%- endfor %}
        union all
        select
            surviving_braze_user_id as braze_user_id,
            {{ no_external_id }} as external_id,
            event_at
        from {{ ref("stg_currents__users_user_orphan") }}
        where
            {{ in_rebuild_window("delivered_hour") }}
            and surviving_braze_user_id is not null
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
