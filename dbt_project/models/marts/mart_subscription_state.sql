select
    event_id as subscription_version_key,
    user_key,
    subject_kind,
    channel,
    subscription_group_id,
    status,
    previous_status,
    changed_at as valid_from,
    lead(changed_at) over (
        partition by user_key, subject_kind, subject order by changed_at
    ) as valid_to,
    lead(changed_at) over (
        partition by user_key, subject_kind, subject order by changed_at
    )
    is null as is_current,
    state_change_source,
    campaign_id,
    canvas_id,
    canvas_step_id
from {{ ref("int_subscription_changes") }}
where not is_deleted_user
