with
    sightings as (
        select id as campaign_id, name as campaign_name, first_seen_at, last_seen_at
        from {{ ref("int_message_names") }}
        where kind = 'campaign'
    ),
    seen_campaigns as (select distinct campaign_id from sightings),
    workspace_versions as (
        select versions.*
        from {{ ref("stg_braze_workspace__campaigns") }} as versions
        inner join seen_campaigns on versions.campaign_id = seen_campaigns.campaign_id
    ),
    workspace_campaigns as (select * from workspace_versions where is_current),
    all_names as (
        select campaign_id, campaign_name, min(named_at) as first_named_at
        from
            (
                select campaign_id, campaign_name, first_seen_at as named_at
                from sightings
                union all
                select campaign_id, campaign_name, valid_from as named_at
                from workspace_versions
            ) as namings
        where campaign_name is not null
        group by campaign_id, campaign_name
    ),
    name_histories as (
        select
            campaign_id,
            count(*) as name_count,
            string_agg(campaign_name, ', ' order by campaign_name) as names_seen,
            string_agg(
                campaign_name, ' > ' order by first_named_at, campaign_name
            ) as name_history
        from all_names
        group by campaign_id
    ),
    event_names as (
        select
            campaign_id,
            campaign_name,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from sightings
        where campaign_name is not null
        group by campaign_id, campaign_name
    ),
    latest_names as (
        select campaign_id, campaign_name, first_seen_at
        from event_names
        where true
        qualify
            row_number() over (
                partition by campaign_id order by last_seen_at desc, campaign_name
            )
            = 1
    ),
    channel_sends as (
        select campaign_id, channel, sum(sends) as sends
        from {{ ref("fct_messages_daily") }}
        where campaign_id is not null and sends > 0
        group by campaign_id, channel
    ),
    main_channels as (
        select campaign_id, channel
        from channel_sends
        where true
        qualify
            row_number() over (partition by campaign_id order by sends desc, channel)
            = 1
    ),
    campaigns as (
        select
            campaign_id,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from sightings
        group by campaign_id
    )
select
    campaigns.campaign_id,
    case
        -- renamed since the workspace was read
        when latest_names.first_seen_at > workspace_campaigns.valid_from
        then latest_names.campaign_name
        else coalesce(workspace_campaigns.campaign_name, latest_names.campaign_name)
    end as campaign_name,
    main_channels.channel,
    workspace_campaigns.channels,
    workspace_campaigns.tags,
    workspace_campaigns.schedule_type,
    workspace_campaigns.is_archived,
    workspace_campaigns.is_draft,
    coalesce(name_histories.name_count, 0) as name_count,
    name_histories.names_seen,
    name_histories.name_history,
    campaigns.first_seen_at,
    campaigns.last_seen_at
from campaigns
left join latest_names on campaigns.campaign_id = latest_names.campaign_id
left join main_channels on campaigns.campaign_id = main_channels.campaign_id
left join name_histories on campaigns.campaign_id = name_histories.campaign_id
left join workspace_campaigns on campaigns.campaign_id = workspace_campaigns.campaign_id
