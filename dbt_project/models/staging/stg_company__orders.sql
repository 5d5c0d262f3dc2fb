{{ config(materialized="view") }}
select
    order_id,
    {{ blank_to_null("user_id") }} as external_id,
    ordered_at,
    category,
    currency,
    amount,
    status
from {{ source("company", "orders") }}
