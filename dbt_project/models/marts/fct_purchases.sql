{{ config(materialized="view", meta={"rebuild": {"column": "delivered_hour"}}) }}
select
    purchases.event_id as purchase_event_id,
    purchases.event_at as purchased_at,
    purchases.delivered_hour,
    identity.user_key,
    identity.surviving_external_id as external_id,
    identity.is_deleted as is_deleted_user,
    purchases.product_id,
    purchases.category,
    purchases.order_id,
    purchases.currency,
    purchases.price,
    round(purchases.price * {{ eur_per_unit("purchases.currency") }}, 2) as price_eur,
    purchases.app_id,
    purchases.platform
from {{ ref("stg_currents__users_behaviors_purchase") }} as purchases
left join
    {{ ref("int_user_identity") }} as identity
    on purchases.braze_user_id = identity.braze_user_id
