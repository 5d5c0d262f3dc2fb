{{ config(materialized="view") }}
select
    canvas_id,
    name as canvas_name,
    tags,
    channels,
    schedule_type,
    is_archived,
    is_draft,
    valid_from,
    valid_to,
    valid_to is null as is_current
from {{ source("braze_workspace", "canvases") }}
