{{ config(materialized="view") }}
{# Built along with what reads it, and not after every sync. -#}
-- depends_on: {{ ref("int_user_identity") }}
select
    deliveries.sync,
    deliveries._user as user_identifier,
    deliveries._label as alias_label,
    {{ delivery_entry("attribute") }} as attribute,
    {{ delivery_entry("hash") }} as value_hash,
    {{ delivery_entry_json() }} as value_json,
    deliveries.run_id,
    deliveries.delivered_at as acknowledged_at
from
    {{ source("braze_sync", "deliveries") }} as deliveries,
    {{ delivery_entries("deliveries.attribute_values") }}
where deliveries.verdict = 'delivered'
