{#- Only what is over, by the data's own clock: a day of which hours are still to come would look like people lost. -#}
with
    clock as (
        select cast({{ latest_hour(ref("int_message_events")) }} as date) as latest_day
    )
select
    retention.retention_key,
    retention.period,
    retention.cohort_start,
    retention.period_number,
    retention.users,
    retention.retained_users,
    retention.returned_users,
    retention.retained_users * 1.0 / retention.users as classic_retention_rate,
    retention.returned_users * 1.0 / retention.users as range_retention_rate
from {{ ref("int_retention") }} as retention
cross join clock
where
    case
        when retention.period = 'day'
        then {{ date_after("retention.cohort_start", "retention.period_number") }}
        else
            {{ date_after("retention.cohort_start", "retention.period_number * 7 + 6") }}
    end
    < clock.latest_day
