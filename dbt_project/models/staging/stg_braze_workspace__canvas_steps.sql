{{ config(materialized="view") }}
select
    canvas_step_id,
    canvas_id,
    name as canvas_step_name,
    step_type,
    channels,
    next_paths,
    valid_from,
    valid_to,
    valid_to is null as is_current
from {{ source("braze_workspace", "canvas_steps") }}
