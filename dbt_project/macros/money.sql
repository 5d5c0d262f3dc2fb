{#- An amount as its currency writes it: rounded to the minor unit. Currents carries prices as 32-bit floats, so 9.99 arrives
    as 9.989999771118164. -#}
{% macro rounded_to_minor_unit(amount, currency) -%}
    case
        {%- set by_digits = {} -%}
        {%- for code, digits in var("minor_unit_digits").items() %}
            {%- do by_digits.setdefault(digits, []).append(code) -%}
        {%- endfor %}
        {%- for digits, codes in by_digits.items() %}
            when {{ currency }} in ('{{ codes | join("', '") }}')
            then round({{ amount }}, {{ digits }})
        {%- endfor %}
        else round({{ amount }}, 2)
    end
{%- endmacro %}

{#- A sum of money: null when any of its parts is not known, for the rest is not a sum. Null of no rows, too. -#}
{% macro sum_or_unknown(amount) -%}
    case when count(*) = count({{ amount }}) then sum({{ amount }}) end
{%- endmacro %}

{#- The value in EUR of one unit of a currency, by var eur_per_unit; null for a currency without a rate. -#}
{% macro eur_per_unit(currency) -%}
    case
        {{ currency }}
        {%- for code, rate in var("eur_per_unit").items() %}
            when '{{ code }}' then {{ rate }}
        {%- endfor %}
    end
{%- endmacro %}
