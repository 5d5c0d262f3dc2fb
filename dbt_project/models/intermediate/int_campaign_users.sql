with
    touches as (
        select campaign_id, braze_user_id, 1 as sent, 0 as in_control, 0 as converted
        from {{ ref("int_message_events") }}
        where is_send and campaign_id is not null
        union all
        select campaign_id, braze_user_id, 0 as sent, 1 as in_control, 0 as converted
        from {{ ref("stg_currents__users_campaigns_enroll_in_control") }}
        union all
        select campaign_id, braze_user_id, 0 as sent, 0 as in_control, 1 as converted
        from {{ ref("stg_currents__users_campaigns_conversion") }}
        where conversion_behavior_index = 0
    )
select
    concat(touches.campaign_id, '|', identity.user_key) as campaign_user_key,
    touches.campaign_id,
    identity.user_key,
    max(touches.sent) = 1 as is_sent,
    max(touches.in_control) = 1 as is_control,
    max(touches.converted) = 1 as is_converted
from touches
inner join
    {{ ref("int_user_identity") }} as identity
    on touches.braze_user_id = identity.braze_user_id
group by touches.campaign_id, identity.user_key
