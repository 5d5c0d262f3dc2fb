{#- Merges are followed by doubling: after n rounds a chain of 2^n merges has found its end. -#}
{%- set rounds = 5 -%}
with
    sightings as (select * from {{ ref("int_user_sightings") }}),
    users as (
        select
            braze_user_id,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from sightings
        group by braze_user_id
    ),
    external_ids as (
        select braze_user_id, external_id
        from sightings
        where external_id is not null
        qualify
            row_number() over (
                partition by braze_user_id order by last_seen_at desc, external_id
            )
            = 1
    ),
    merges_0 as (
        select braze_user_id, surviving_braze_user_id, event_at as merged_at
        from {{ ref("stg_currents__users_user_orphan") }}
        where braze_user_id <> surviving_braze_user_id
        qualify
            row_number() over (
                partition by braze_user_id order by event_at desc, event_id
            )
            = 1
    ),
    {% for round in range(rounds) %}
        merges_{{ round + 1 }} as (
            select
                earlier.braze_user_id,
                coalesce(
                    later.surviving_braze_user_id, earlier.surviving_braze_user_id
                ) as surviving_braze_user_id,
                earlier.merged_at
            from merges_{{ round }} as earlier
            left join
                merges_{{ round }} as later
                on earlier.surviving_braze_user_id = later.braze_user_id
        ),
    {% endfor %}
    deletions as (
        select braze_user_id, min(event_at) as deleted_at
        from {{ ref("stg_currents__users_user_delete_request") }}
        group by braze_user_id
    ),
    resolved as (
        select
            users.braze_user_id,
            users.first_seen_at,
            users.last_seen_at,
            merges.merged_at,
            coalesce(
                merges.surviving_braze_user_id, users.braze_user_id
            ) as surviving_braze_user_id
        from users
        left join
            merges_{{ rounds }} as merges on users.braze_user_id = merges.braze_user_id
    )
select
    resolved.braze_user_id,
    own.external_id,
    resolved.surviving_braze_user_id,
    survivor.external_id as surviving_external_id,
    coalesce(survivor.external_id, resolved.surviving_braze_user_id) as user_key,
    resolved.merged_at,
    coalesce(own_deletion.deleted_at, survivor_deletion.deleted_at) as deleted_at,
    coalesce(own_deletion.deleted_at, survivor_deletion.deleted_at)
    is not null as is_deleted,
    resolved.first_seen_at,
    resolved.last_seen_at
from resolved
left join external_ids as own on resolved.braze_user_id = own.braze_user_id
left join
    external_ids as survivor
    on resolved.surviving_braze_user_id = survivor.braze_user_id
left join
    deletions as own_deletion on resolved.braze_user_id = own_deletion.braze_user_id
left join
    deletions as survivor_deletion
    on resolved.surviving_braze_user_id = survivor_deletion.braze_user_id
