{#- The range that a number lies in: 0, below 0, and from 0 on the steps 1, 2, 5, 10, 20, 50 and so on, which never move, so that
    a user's range changes only when the value does. -#}
{% macro number_range(number) -%}
    {%- set bounds = [0, 1] -%}
    {%- for exponent in range(7) -%}
        {%- for step in [1, 2, 5] -%}
            {%- if step * 10 ** exponent > 1 -%}
                {%- do bounds.append(step * 10 ** exponent) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor %}
    case
        when {{ number }} < 0
        then 'below 0'
        when {{ number }} = 0
        then '0'
        {%- for low in bounds[:-1] %}
                {%- set high = bounds[loop.index] %}
            when {{ number }} < {{ high }}
            then '{{ low }} to under {{ high }}'
        {%- endfor %}
        else '{{ bounds[-1] }} and more'
    end
{%- endmacro %}

{#- How long before its delivery a moment lies, in whole days as people count them. -#}
{% macro age_range(moment, delivered_at) -%}
    case
        {%- for days, label in [(0, "later"), (8, "up to 7 days before"), (31, "8 to 30 days before"), (91, "31 to 90 days before"), (366, "91 to 365 days before")] %}
            when {{ seconds_between(moment, delivered_at) }} < {{ days * 86400 }}
            then '{{ label }}'
        {%- endfor %}
        else 'more than 365 days before'
    end
{%- endmacro %}
