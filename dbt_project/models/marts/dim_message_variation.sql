{#- Events carry the id of a canvas step's message in some types only, so its messages come from the workspace's metadata. -#}
with
    sightings as (
        select id, parent_id, name, first_seen_at, last_seen_at
        from {{ ref("int_message_names") }}
        where kind = 'message_variation'
    ),
    seen_parents as (
        select id, kind, max(parent_id) as parent_id
        from {{ ref("int_message_names") }}
        where kind in ('campaign', 'canvas_step')
        group by id, kind
    ),
    versions as (
        select
            workspace.message_variation_id as id,
            workspace.message_variation_name as name,
            coalesce(workspace.canvas_step_id, workspace.campaign_id) as parent_id,
            workspace.channel,
            workspace.is_control,
            workspace.valid_from,
            workspace.is_current
        from {{ ref("stg_braze_workspace__message_variations") }} as workspace
        inner join
            seen_parents
            on coalesce(workspace.canvas_step_id, workspace.campaign_id)
            = seen_parents.id
    ),
    variations as (
        select
            id,
            max(parent_id) as parent_id,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from
            (
                select id, parent_id, first_seen_at, last_seen_at
                from sightings
                union all
                select
                    id,
                    parent_id,
                    cast(null as timestamp) as first_seen_at,
                    cast(null as timestamp) as last_seen_at
                from versions
            ) as known
        group by id
    ),
    {{ names_over_time() }},
    main_channels as ({{ main_channels("message_variation_id") }}),
    workspace_variations as (select * from versions where is_current),
    workspace_tags as (
        select campaign_id as id, tags
        from {{ ref("stg_braze_workspace__campaigns") }}
        where is_current
        union all
        select canvas_id as id, tags
        from {{ ref("stg_braze_workspace__canvases") }}
        where is_current
    )
select
    variations.id as message_variation_id,
    named.name as message_variation_name,
    case
        when seen_parents.kind = 'campaign' then variations.parent_id
    end as campaign_id,
    case
        when seen_parents.kind = 'canvas_step' then seen_parents.parent_id
    end as canvas_id,
    case
        when seen_parents.kind = 'canvas_step' then variations.parent_id
    end as canvas_step_id,
    main_channels.channel,
    workspace_variations.channel as workspace_channel,
    workspace_variations.is_control,
    workspace_tags.tags,
    coalesce(named.name_count, 0) as name_count,
    named.names_seen,
    named.name_history,
    variations.first_seen_at,
    variations.last_seen_at
from variations
left join named on variations.id = named.id
left join seen_parents on variations.parent_id = seen_parents.id
left join main_channels on variations.id = main_channels.message_variation_id
left join workspace_variations on variations.id = workspace_variations.id
left join
    workspace_tags
    on case
        when seen_parents.kind = 'campaign'
        then variations.parent_id
        else seen_parents.parent_id
    end
    = workspace_tags.id
