{#- The latest state of a token replaces the one before, so new hours are enough to keep it. -#}
{{ config(materialized="incremental", unique_key="push_token_key", cluster_by=["braze_user_id"]) }}
with
    changes as (
        select
            push_token,
            braze_user_id,
            app_id,
            device_id,
            platform,
            changed_at_milliseconds,
            event_id,
            event_at as changed_at,
            {# Braze names no fixed set of words; added and updated tokens are on. -#}
            not (
                {{ matches("coalesce(lower(push_token_state_change_type), '')", "remov|delet|invalid|expir|disab") }}
            )
            and not is_foreground_push_disabled as is_enabled,
            is_provisionally_opted_in
        from
            {{ ref("stg_currents__users_behaviors_pushnotification_token_state_change") }}
        where
            push_token is not null
            and braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour") }}
    ),
    states as (
        select *
        from changes
        {% if is_incremental() %}
            union all
            select
                known.push_token,
                known.braze_user_id,
                known.app_id,
                known.device_id,
                known.platform,
                known.changed_at_milliseconds,
                known.event_id,
                known.changed_at,
                known.is_enabled,
                known.is_provisionally_opted_in
            from {{ this }} as known
            where known.braze_user_id in (select braze_user_id from changes)
        {% endif %}
    )
select
    concat(
        {{ text_hash("push_token") }}, '|', braze_user_id, '|', coalesce(app_id, '')
    ) as push_token_key,
    push_token,
    braze_user_id,
    app_id,
    device_id,
    platform,
    changed_at_milliseconds,
    event_id,
    changed_at,
    is_enabled,
    is_provisionally_opted_in
from states
where true
qualify
    row_number() over (
        partition by push_token, braze_user_id, coalesce(app_id, '')
        order by changed_at_milliseconds desc, event_id desc
    )
    = 1
