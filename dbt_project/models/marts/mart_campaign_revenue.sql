{#- Reads all purchases that have a send: few beside the messages, and distinct users cannot be added up by day. -#}
with
    purchases as (
        select
            attributed_campaign_id as campaign_id,
            coalesce(currency, 'unknown') as currency,
            attribution_method,
            coalesce(user_key, conversion_event_id) as user_key,
            revenue,
            revenue_eur
        from {{ ref("fct_conversions") }}
        where kind = 'purchase' and attributed_campaign_id is not null
    ),
    sums as (
        select
            campaign_id,
            currency,
            count(*) as purchases,
            count(distinct user_key) as users,
            {{ sum_or_unknown("revenue") }} as revenue,
            {%- for method in ["click", "open", "send"] %}
                {{ sum_or_unknown("case when attribution_method = '" ~ method ~ "' then revenue else 0.0 end") }}
                as revenue_by_{{ method }},
            {%- endfor %}
            {{ sum_or_unknown("revenue_eur") }} as revenue_eur
        from purchases
        group by campaign_id, currency
    )
select
    concat(sums.campaign_id, '|', sums.currency) as campaign_currency_key,
    sums.campaign_id,
    campaigns.campaign_name,
    sums.currency,
    sums.purchases,
    sums.users,
    {# Sums of whole minor units, which floats hold only nearly. -#}
    {%- for amount in ["revenue", "revenue_by_click", "revenue_by_open", "revenue_by_send"] %}
        {{ rounded_to_minor_unit("sums." ~ amount, "sums.currency") }} as {{ amount }},
    {%- endfor %}
    {{ rounded_to_minor_unit("sums.revenue / sums.users", "sums.currency") }}
    as revenue_per_user,
    round(sums.revenue_eur, 2) as revenue_eur
from sums
left join
    {{ ref("dim_campaign") }} as campaigns on sums.campaign_id = campaigns.campaign_id
