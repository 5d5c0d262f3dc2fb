with
    changes as (
        select
            *,
            case
                when
                    status in ('subscribed', 'opted_in')
                    and coalesce(previous_status, 'unsubscribed') = 'unsubscribed'
                then 1
                else 0
            end as is_opt_in,
            case when status = 'unsubscribed' then 1 else 0 end as is_opt_out,
            case
                when status = 'opted_in' and previous_status = 'subscribed'
                then 1
                else 0
            end as is_confirmation,
            case
                when campaign_id is not null or canvas_id is not null then 1 else 0
            end as is_by_message
        from {{ ref("int_subscription_changes") }}
    )
select
    concat(
        cast(day as {{ column_type("string") }}),
        '|',
        subject_kind,
        '|',
        channel,
        '|',
        coalesce(subscription_group_id, '')
    ) as subscription_day_key,
    day,
    subject_kind,
    channel,
    subscription_group_id,
    {{ whole_sum("is_opt_in") }} as opt_ins,
    {{ whole_sum("is_opt_out") }} as opt_outs,
    {{ whole_sum("is_opt_in - is_opt_out") }} as net_opt_ins,
    {{ whole_sum("is_confirmation") }} as confirmations,
    {{ whole_sum("is_opt_out * is_by_message") }} as opt_outs_by_message
from changes
group by day, subject_kind, channel, subscription_group_id
