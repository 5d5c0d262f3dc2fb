with
    customers as (
        select external_id
        from {{ ref("stg_service__users") }}
        union distinct
        select external_id
        from {{ ref("stg_service__orders") }}
    ),
    in_braze as (
        select external_id, surviving_external_id, is_deleted
        from {{ ref("int_user_identity") }}
        where external_id is not null
        {# An external id may have been given again after a deletion: the living profile counts. -#}
        qualify
            row_number() over (
                partition by external_id
                order by
                    case when is_deleted then 1 else 0 end,
                    last_seen_at desc,
                    braze_user_id
            )
            = 1
    )
select
    coalesce(in_braze.external_id, customers.external_id) as external_id,
    case
        when in_braze.external_id is null
        then customers.external_id
        else in_braze.surviving_external_id
    end as surviving_external_id,
    in_braze.external_id is not null as is_seen_in_currents,
    coalesce(in_braze.is_deleted, false) as is_deleted
from in_braze
full outer join customers on in_braze.external_id = customers.external_id
