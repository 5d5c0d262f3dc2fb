{{ config(materialized="view") }}
select
    {{ blank_to_null("user_id") }} as external_id,
    country,
    signed_up_at,
    marketing_consent
from {{ source("company", "users") }}
where {{ blank_to_null("user_id") }} is not null
