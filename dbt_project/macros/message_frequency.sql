{#- How often a user was written to in a week, in words. -#}
{% macro frequency_bucket(messages) -%}
    case
        when {{ messages }} <= 3
        then cast({{ messages }} as {{ column_type("string") }})
        when {{ messages }} <= 5
        then '4-5'
        when {{ messages }} <= 10
        then '6-10'
        else '11+'
    end
{%- endmacro %}
