with
    sightings as (
        select id, name, first_seen_at, last_seen_at
        from {{ ref("int_message_names") }}
        where kind = 'campaign'
    ),
    campaigns as (
        select
            id, min(first_seen_at) as first_seen_at, max(last_seen_at) as last_seen_at
        from sightings
        group by id
    ),
    versions as (
        select
            workspace.campaign_id as id,
            workspace.campaign_name as name,
            workspace.channels,
            workspace.tags,
            workspace.schedule_type,
            workspace.is_archived,
            workspace.is_draft,
            workspace.valid_from,
            workspace.is_current
        from {{ ref("stg_braze_workspace__campaigns") }} as workspace
        inner join campaigns on workspace.campaign_id = campaigns.id
    ),
    {{ names_over_time() }},
    main_channels as ({{ main_channels("campaign_id") }}),
    workspace_campaigns as (select * from versions where is_current)
select
    campaigns.id as campaign_id,
    named.name as campaign_name,
    main_channels.channel,
    workspace_campaigns.channels,
    workspace_campaigns.tags,
    workspace_campaigns.schedule_type,
    workspace_campaigns.is_archived,
    workspace_campaigns.is_draft,
    coalesce(named.name_count, 0) as name_count,
    named.names_seen,
    named.name_history,
    campaigns.first_seen_at,
    campaigns.last_seen_at
from campaigns
left join named on campaigns.id = named.id
left join main_channels on campaigns.id = main_channels.campaign_id
left join workspace_campaigns on campaigns.id = workspace_campaigns.id
