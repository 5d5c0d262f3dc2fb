{{ config(materialized="view") }}
select user_id as external_id, country, signed_up_at, marketing_consent
from {{ source("service", "users") }}
