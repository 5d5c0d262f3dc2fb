{{ config(materialized="view") }}
select
    campaign_id,
    name as campaign_name,
    tags,
    channels,
    schedule_type,
    is_archived,
    is_draft,
    valid_from,
    valid_to,
    valid_to is null as is_current
from {{ source("braze_workspace", "campaigns") }}
