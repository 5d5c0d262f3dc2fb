{{ config(materialized="view") }}
select
    message_variation_id,
    campaign_id,
    canvas_id,
    canvas_step_id,
    name as message_variation_name,
    channel,
    is_control,
    valid_from,
    valid_to,
    valid_to is null as is_current
from {{ source("braze_workspace", "message_variations") }}
