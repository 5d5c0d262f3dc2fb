with
    sightings as (
        select
            campaign_id,
            campaign_name,
            min(event_at) as first_seen_at,
            max(event_at) as last_seen_at
        from {{ ref("int_message_events") }}
        where campaign_id is not null
        group by campaign_id, campaign_name
        union all
        select
            campaign_id,
            campaign_name,
            min(event_at) as first_seen_at,
            max(event_at) as last_seen_at
        from {{ ref("stg_currents__users_campaigns_conversion") }}
        group by campaign_id, campaign_name
        union all
        select
            campaign_id,
            campaign_name,
            min(event_at) as first_seen_at,
            max(event_at) as last_seen_at
        from {{ ref("stg_currents__users_campaigns_enroll_in_control") }}
        group by campaign_id, campaign_name
    ),
    latest_names as (
        select campaign_id, campaign_name
        from sightings
        where campaign_name is not null
        qualify
            row_number() over (
                partition by campaign_id order by last_seen_at desc, campaign_name
            )
            = 1
    ),
    channel_sends as (
        select campaign_id, channel, count(*) as sends
        from {{ ref("int_message_events") }}
        where campaign_id is not null and is_send
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
            max(last_seen_at) as last_seen_at,
            count(distinct campaign_name) as name_count,
            string_agg(
                distinct campaign_name, ', ' order by campaign_name
            ) as names_seen
        from sightings
        group by campaign_id
    )
select
    campaigns.campaign_id,
    latest_names.campaign_name,
    main_channels.channel,
    campaigns.name_count,
    campaigns.names_seen,
    campaigns.first_seen_at,
    campaigns.last_seen_at
from campaigns
left join latest_names on campaigns.campaign_id = latest_names.campaign_id
left join main_channels on campaigns.campaign_id = main_channels.campaign_id
