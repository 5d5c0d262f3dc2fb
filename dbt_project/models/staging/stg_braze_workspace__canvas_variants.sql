{{ config(materialized="view") }}
select
    canvas_variation_id,
    canvas_id,
    name as canvas_variation_name,
    first_step_ids,
    valid_from,
    valid_to,
    valid_to is null as is_current
from {{ source("braze_workspace", "canvas_variants") }}
