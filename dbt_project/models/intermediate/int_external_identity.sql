with
    customers as (
        select external_id
        from {{ ref("stg_company__users") }}
        union distinct
        select external_id
        from {{ ref("stg_company__orders") }}
        where external_id is not null
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
    ),
    {# Whoever was erased left the hash of an external id; a profile that has the id again lives. -#}
    erased as (
        select distinct identity_hash
        from {{ source("privacy", "tombstones") }}
        where kind = 'external_id'
    ),
    identities as (
        select
            coalesce(in_braze.external_id, customers.external_id) as external_id,
            case
                when in_braze.external_id is null
                then customers.external_id
                else in_braze.surviving_external_id
            end as surviving_external_id,
            in_braze.external_id is not null as is_seen_in_currents,
            in_braze.is_deleted
        from in_braze
        full outer join customers on in_braze.external_id = customers.external_id
    )
select
    identities.external_id,
    identities.surviving_external_id,
    identities.is_seen_in_currents,
    coalesce(identities.is_deleted, erased.identity_hash is not null) as is_deleted
from identities
left join erased on {{ text_hash("identities.external_id") }} = erased.identity_hash
