with
    orders as (
        select
            identity.surviving_external_id as external_id,
            round(
                {{ sum_or_unknown("case when orders.status = 'completed' then orders.amount * " ~ eur_per_unit("orders.currency") ~ " else 0 end") }},
                2
            ) as lifetime_value,
            count(case when orders.status = 'completed' then 1 end) as order_count,
            max(
                case when orders.status = 'completed' then orders.ordered_at end
            ) as last_order_at
        from {{ ref("stg_company__orders") }} as orders
        inner join
            {{ ref("int_external_identity") }} as identity
            on orders.external_id = identity.external_id
        where not identity.is_deleted
        group by identity.surviving_external_id
    ),
    interests as (
        {# What people pay for says more of what they like than what they look at. -#}
        select
            identity.surviving_external_id as external_id, orders.category, 3 as weight
        from {{ ref("stg_company__orders") }} as orders
        inner join
            {{ ref("int_external_identity") }} as identity
            on orders.external_id = identity.external_id
        where
            not identity.is_deleted
            and orders.category is not null
            and orders.status = 'completed'
        union all
        select
            identity.surviving_external_id as external_id, events.category, 1 as weight
        from {{ ref("stg_currents__users_behaviors_custom_event") }} as events
        inner join
            {{ ref("int_user_identity") }} as identity
            on events.braze_user_id = identity.braze_user_id
        where
            not identity.is_deleted
            and events.category is not null
            and events.name = 'product_viewed'
    ),
    category_weights as (
        select external_id, category, sum(weight) as weight
        from interests
        where external_id is not null
        group by external_id, category
    ),
    favourites as (
        select external_id, category as favourite_category
        from category_weights
        where true
        qualify
            row_number() over (partition by external_id order by weight desc, category)
            = 1
    ),
    customers as (
        select external_id
        from orders
        where external_id is not null
        union distinct
        select external_id
        from favourites
    )
select
    customers.external_id,
    {# Without an order it is 0; with an order of unknown value it is unknown. -#}
    case
        when orders.external_id is null then 0.0 else orders.lifetime_value
    end as lifetime_value,
    cast(
        coalesce(orders.order_count, 0) as {{ column_type("integer") }}
    ) as order_count,
    orders.last_order_at,
    favourites.favourite_category,
    case
        when orders.external_id is not null and orders.lifetime_value is null
        then null
        when coalesce(orders.order_count, 0) < 2
        then 'new'
        when orders.lifetime_value >= {{ var("vip_lifetime_value") }}
        then 'vip'
        when orders.order_count >= {{ var("loyal_order_count") }}
        then 'loyal'
        else 'occasional'
    end as value_segment
from customers
left join orders on customers.external_id = orders.external_id
left join favourites on customers.external_id = favourites.external_id
