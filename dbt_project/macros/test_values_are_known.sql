{#- Passes when each amount of money has a value in EUR; else a row for each currency without a rate in var eur_per_unit (or with
    amounts that are missing), and how many. `where` bounds the rows that are looked at. -#}
{% test values_are_known(model, amount, currency, where="true") %}
    select
        {{ currency }} as currency,
        count(*) as amounts_of_unknown_value,
        count({{ eur_per_unit(currency) }}) > 0 as currency_has_rate
    from {{ model }}
    where {{ where }} and {{ amount }} * {{ eur_per_unit(currency) }} is null
    group by {{ currency }}
{% endtest %}
