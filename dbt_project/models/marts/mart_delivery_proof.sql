with
    delivered as (
        select
            sync,
            attribute,
            user_identifier,
            value_hash,
            acknowledged_at,
            row_number() over (
                partition by sync, attribute, user_identifier, alias_label
                order by acknowledged_at desc, run_id desc
            )
            = 1 as is_latest,
            coalesce(value_hash, 'removed') as held
        from {{ ref("stg_braze_sync__delivered_values") }}
    ),
    told as (
        select
            sync,
            attribute,
            _user as user_identifier,
            coalesce(value_hash, 'removed') as held,
            observed_at,
            read_at
        from {{ source("braze_sync", "observations") }}
    ),
    first_seen as (
        select
            delivered.sync,
            delivered.attribute,
            delivered.user_identifier,
            delivered.acknowledged_at,
            min(told.observed_at) as seen_at
        from delivered
        inner join
            told
            on delivered.sync = told.sync
            and delivered.attribute = told.attribute
            and delivered.user_identifier = told.user_identifier
            and delivered.held = told.held
            and delivered.acknowledged_at < told.read_at
        group by
            delivered.sync,
            delivered.attribute,
            delivered.user_identifier,
            delivered.acknowledged_at
    ),
    last_told as (
        select
            delivered.sync,
            delivered.attribute,
            delivered.user_identifier,
            delivered.acknowledged_at,
            told.held <> delivered.held as is_overwritten
        from delivered
        inner join
            told
            on delivered.sync = told.sync
            and delivered.attribute = told.attribute
            and delivered.user_identifier = told.user_identifier
            and delivered.acknowledged_at < told.read_at
            and delivered.acknowledged_at < told.observed_at
        where delivered.is_latest
        qualify
            row_number() over (
                partition by
                    delivered.sync,
                    delivered.attribute,
                    delivered.user_identifier,
                    delivered.acknowledged_at
                order by told.observed_at desc, told.held
            )
            = 1
    ),
    judged as (
        select
            delivered.sync,
            delivered.attribute,
            cast(delivered.acknowledged_at as date) as day,
            case when first_seen.seen_at is not null then 1 else 0 end as is_seen,
            case when last_told.is_overwritten then 1 else 0 end as is_overwritten,
            greatest(
                0,
                {{ seconds_between("delivered.acknowledged_at", "first_seen.seen_at") }}
            ) as seconds_until_seen
        from delivered
        left join
            first_seen
            on delivered.sync = first_seen.sync
            and delivered.attribute = first_seen.attribute
            and delivered.user_identifier = first_seen.user_identifier
            and delivered.acknowledged_at = first_seen.acknowledged_at
        left join
            last_told
            on delivered.sync = last_told.sync
            and delivered.attribute = last_told.attribute
            and delivered.user_identifier = last_told.user_identifier
            and delivered.acknowledged_at = last_told.acknowledged_at
    )
select
    concat(
        sync, '|', attribute, '|', cast(day as {{ column_type("string") }})
    ) as delivery_proof_key,
    sync,
    attribute,
    day,
    count(*) as delivered_values,
    {{ whole_sum("is_seen") }} as seen_values,
    {{ whole_sum("is_seen") }}
    / cast(count(*) as {{ column_type("number") }}) as seen_share,
    avg(
        case when is_seen = 1 then seconds_until_seen end
    ) as average_seconds_until_seen,
    {{ whole_sum("is_overwritten") }} as overwritten_values
from judged
group by sync, attribute, day
