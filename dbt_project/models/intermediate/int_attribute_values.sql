{#- The deliveries are append-only, and Currents does not show them: a build takes what came since its last one. The last
    day is looked at twice, since two syncs that write at a time may commit out of order; what is known by then is left out.
    Only changes are kept, in the ranges that mart_attribute_effect shows: scores move daily, their ranges rarely. -#}
{{
    config(
        materialized="incremental",
        partition_by={"field": "delivered_at", "data_type": "timestamp", "granularity": "day"},
        cluster_by=["sync", "attribute"],
    )
}}
{%- set new_ones = "true" -%}
{%- if execute and is_incremental() -%}
    {%- set latest = run_query("select max(delivered_at) from " ~ this).rows[0][0] -%}
    {%- if latest -%}
        {%- set since = latest - modules.datetime.timedelta(days=1) -%}
        {%- set new_ones = "deliveries.delivered_at > timestamp '" ~ since.strftime("%Y-%m-%d %H:%M:%S") ~ "'" -%}
    {%- endif -%}
{%- endif -%}
{%- set columns = ["sync", "attribute", "user_id", "user_label", "delivered_at"] %}
{# Built with every load, and not after every sync. -#}
-- depends_on: {{ ref("int_user_identity") }}
with
    items as (
        select
            deliveries.sync,
            deliveries._user as user_id,
            coalesce(deliveries._label, '') as user_label,
            deliveries.delivered_at,
            item
        from {{ source("braze_sync", "deliveries") }} as deliveries
        cross join {{ json_items("deliveries.attribute_values") }}
        where deliveries.verdict = 'delivered' and {{ new_ones }}
    ),
    carried as (
        select
            sync,
            user_id,
            user_label,
            delivered_at,
            {{ json_text("item", "attribute") }} as attribute,
            {{ json_text("item", "hash") }} as value_hash,
            {{ json_text("item", "value") }} as value_text,
            {{ json_part("item", "value") }} as value_json
        from items
    ),
    named as (
        select
            concat(
                sync,
                '|',
                attribute,
                '|',
                user_label,
                '|',
                user_id,
                '|',
                cast(
                    {{ epoch_microseconds("delivered_at") }}
                    as {{ column_type("string") }}
                )
            ) as value_key,
            {{ columns | join(", ") }},
            case
                when value_hash is null
                then null
                when value_json is null
                then value_hash
                when
                    {{ matches("value_json", "^-?[0-9]") }}
                    and attribute
                    not in ('{{ var("attribute_effect_categories") | join("', '") }}')
                then
                    {{ number_range("cast(value_text as " ~ column_type("number") ~ ")") }}
                when {{ matches("value_text", "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T|$)") }}
                then
                    {{
                        age_range(
                            "cast(cast(substr(value_text, 1, 10) as date) as timestamp)",
                            "delivered_at",
                        )
                    }}
                else substr(coalesce(value_text, value_json), 1, 255)
            end as value
        from carried
    ),
    everything as (
        select value_key, {{ columns | join(", ") }}, value, 1 as is_new
        from named
        {% if is_incremental() %}
            where value_key not in (select known.value_key from {{ this }} as known)
            union all
            select value_key, {{ columns | join(", ") }}, value, 0 as is_new
            from {{ this }} as known
            where known.user_id in (select named.user_id from named)
        {% endif %}
    ),
    in_order as (
        select
            everything.*,
            lag(value) over (
                partition by sync, attribute, user_label, user_id
                order by delivered_at, value_key
            ) as earlier_value
        from everything
    )
select value_key, {{ columns | join(", ") }}, value
from in_order
where is_new = 1 and value is distinct from earlier_value
