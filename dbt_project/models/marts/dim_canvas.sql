with
    sightings as (
        select id, name, first_seen_at, last_seen_at
        from {{ ref("int_message_names") }}
        where kind = 'canvas'
    ),
    canvases as (
        select
            id, min(first_seen_at) as first_seen_at, max(last_seen_at) as last_seen_at
        from sightings
        group by id
    ),
    versions as (
        select
            workspace.canvas_id as id,
            workspace.canvas_name as name,
            workspace.channels,
            workspace.tags,
            workspace.schedule_type,
            workspace.is_archived,
            workspace.is_draft,
            workspace.valid_from,
            workspace.is_current
        from {{ ref("stg_braze_workspace__canvases") }} as workspace
        inner join canvases on workspace.canvas_id = canvases.id
    ),
    {{ names_over_time() }},
    main_channels as ({{ main_channels("canvas_id") }}),
    workspace_canvases as (select * from versions where is_current)
select
    canvases.id as canvas_id,
    named.name as canvas_name,
    main_channels.channel,
    workspace_canvases.channels,
    workspace_canvases.tags,
    workspace_canvases.schedule_type,
    workspace_canvases.is_archived,
    workspace_canvases.is_draft,
    coalesce(named.name_count, 0) as name_count,
    named.names_seen,
    named.name_history,
    canvases.first_seen_at,
    canvases.last_seen_at
from canvases
left join named on canvases.id = named.id
left join main_channels on canvases.id = main_channels.canvas_id
left join workspace_canvases on canvases.id = workspace_canvases.id
