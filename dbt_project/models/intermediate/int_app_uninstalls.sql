{#- The last time only grows, so new hours are enough to keep it. -#}
{{ config(materialized="incremental", unique_key="app_uninstall_key", cluster_by=["braze_user_id"]) }}
with
    uninstalls as (
        select braze_user_id, app_id, device_id, event_at
        from {{ ref("stg_currents__users_behaviors_uninstall") }}
        where {{ in_rebuild_window("delivered_hour") }} and braze_user_id is not null
    ),
    states as (
        select braze_user_id, app_id, device_id, event_at as last_uninstalled_at
        from uninstalls
        {% if is_incremental() %}
            union all
            select
                known.braze_user_id,
                known.app_id,
                known.device_id,
                known.last_uninstalled_at
            from {{ this }} as known
            where known.braze_user_id in (select braze_user_id from uninstalls)
        {% endif %}
    )
select
    concat(
        braze_user_id,
        '|',
        coalesce(app_id, ''),
        '|',
        coalesce({{ text_hash("device_id") }}, '')
    ) as app_uninstall_key,
    braze_user_id,
    app_id,
    device_id,
    max(last_uninstalled_at) as last_uninstalled_at
from states
group by braze_user_id, app_id, device_id
