with
    sightings as (
        select id, parent_id, name, first_seen_at, last_seen_at
        from {{ ref("int_message_names") }}
        where kind = 'canvas_step'
    ),
    steps as (
        select
            id,
            max(parent_id) as canvas_id,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from sightings
        group by id
    ),
    versions as (
        select
            workspace.canvas_step_id as id,
            workspace.canvas_step_name as name,
            workspace.step_type,
            workspace.channels,
            workspace.next_paths,
            workspace.valid_from,
            workspace.is_current
        from {{ ref("stg_braze_workspace__canvas_steps") }} as workspace
        inner join steps on workspace.canvas_step_id = steps.id
    ),
    {{ names_over_time() }},
    main_channels as ({{ main_channels("canvas_step_id") }}),
    workspace_steps as (select * from versions where is_current)
select
    steps.id as canvas_step_id,
    named.name as canvas_step_name,
    steps.canvas_id,
    main_channels.channel,
    workspace_steps.step_type,
    workspace_steps.channels,
    workspace_steps.next_paths,
    coalesce(named.name_count, 0) as name_count,
    named.names_seen,
    named.name_history,
    steps.first_seen_at,
    steps.last_seen_at
from steps
left join named on steps.id = named.id
left join main_channels on steps.id = main_channels.canvas_step_id
left join workspace_steps on steps.id = workspace_steps.id
