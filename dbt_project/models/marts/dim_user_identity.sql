{{ config(materialized="view") }}
select
    braze_user_id,
    external_id,
    surviving_braze_user_id,
    surviving_external_id,
    user_key,
    merged_at is not null as is_merged,
    merged_at,
    is_deleted,
    deleted_at,
    first_seen_at,
    last_seen_at
from {{ ref("int_user_identity") }}
