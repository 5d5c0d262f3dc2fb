{#- Merges are rare events: they are read whole. Paths are followed by doubling: after n rounds those of 2^n merges are there.
    Each path is a row of its own: a merge that comes later adds rows and changes none, which incremental models rely on. -#}
{%- set rounds = 3 -%}
{%- set epoch = "timestamp '1970-01-01 00:00:00'" -%}
with
    paths_0 as (
        select distinct
            braze_user_id,
            surviving_braze_user_id,
            delivered_hour as first_merged_hour,
            delivered_hour as last_merged_hour,
            1 as merges
        from {{ ref("stg_currents__users_user_orphan") }}
        where
            braze_user_id <> surviving_braze_user_id
            and surviving_braze_user_id is not null
    )
    {%- for round in range(rounds) %}
        ,
        paths_{{ round + 1 }} as (
            select *
            from paths_{{ round }}
            union distinct
            select
                earlier.braze_user_id,
                later.surviving_braze_user_id,
                least(
                    earlier.first_merged_hour, later.first_merged_hour
                ) as first_merged_hour,
                greatest(
                    earlier.last_merged_hour, later.last_merged_hour
                ) as last_merged_hour,
                earlier.merges + later.merges as merges
            from paths_{{ round }} as earlier
            inner join
                paths_{{ round }} as later
                on earlier.surviving_braze_user_id = later.braze_user_id
            where earlier.braze_user_id <> later.surviving_braze_user_id
        )
    {%- endfor %}
select
    concat(
        braze_user_id,
        '|',
        surviving_braze_user_id,
        '|',
        cast(
            {{ seconds_between(epoch, "first_merged_hour") }}
            as {{ column_type("string") }}
        ),
        '|',
        cast(
            {{ seconds_between(epoch, "last_merged_hour") }}
            as {{ column_type("string") }}
        ),
        '|',
        cast(merges as {{ column_type("string") }})
    ) as merge_key,
    braze_user_id,
    surviving_braze_user_id,
    first_merged_hour,
    last_merged_hour,
    merges
from paths_{{ rounds }}
