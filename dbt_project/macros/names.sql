{#- Queries that give campaigns, canvases, steps and variations their names; they follow two queries of the model:
      sightings  id, name, first_seen_at, last_seen_at: names that events carried (int_message_names)
      versions   id, name, valid_from, is_current: what the workspace's metadata tells, empty until it was read
    and end in `named`: id, name, name_count, names_seen, name_history.

    The dashboard's name wins over what events carry, which may be stale or null; but a name that events carried for the first
    time after the dashboard's began is newer than the reading of the workspace. -#}
{% macro names_over_time() -%}
    all_names as (
        select id, name, min(named_at) as first_named_at
        from
            (
                select id, name, first_seen_at as named_at
                from sightings
                union all
                select id, name, valid_from as named_at
                from versions
            ) as namings
        where name is not null
        group by id, name
    ),
    name_histories as (
        select
            id,
            count(*) as name_count,
            string_agg(name, ', ' order by name) as names_seen,
            string_agg(name, ' > ' order by first_named_at, name) as name_history
        from all_names
        group by id
    ),
    event_names as (
        select
            id,
            name,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from sightings
        where name is not null
        group by id, name
    ),
    latest_names as (
        select id, name, first_seen_at
        from event_names
        where true
        qualify row_number() over (partition by id order by last_seen_at desc, name) = 1
    ),
    current_names as (select id, name, valid_from from versions where is_current),
    named as (
        select
            name_histories.id,
            case
                -- renamed since the workspace was read
                when latest_names.first_seen_at > current_names.valid_from
                then latest_names.name
                else coalesce(current_names.name, latest_names.name)
            end as name,
            name_histories.name_count,
            name_histories.names_seen,
            name_histories.name_history
        from name_histories
        left join latest_names on name_histories.id = latest_names.id
        left join current_names on name_histories.id = current_names.id
    )
{%- endmacro %}

{#- The channel of most sends of each campaign, canvas, step or variation: a query with the id column and `channel`. -#}
{% macro main_channels(id) -%}
    select {{ id }}, channel
    from
        (
            select {{ id }}, channel, sum(sends) as sends
            from {{ ref("fct_messages_daily") }}
            where {{ id }} is not null and sends > 0
            group by {{ id }}, channel
        ) as channel_sends
    where true
    qualify row_number() over (partition by {{ id }} order by sends desc, channel) = 1
{%- endmacro %}
