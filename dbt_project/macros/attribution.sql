{#- How long, in seconds, a message of a channel may be credited with what follows (var attribution_look_back_hours). -#}
{% macro look_back_seconds(channel) -%}
    {%- set hours = var("attribution_look_back_hours") -%}
    case
        {{ channel }}
        {%- for name, value in hours.items() if name != "other" %}
            when '{{ name }}' then {{ value * 3600 }}
        {%- endfor %}
        else {{ hours["other"] * 3600 }}
    end
{%- endmacro %}

{#- The longest look-back of any channel in whole days, rounded up. -#}
{% macro longest_look_back_days() -%}
    {{ return(((var("attribution_look_back_hours").values() | max) / 24) | round(0, "ceil") | int) }}
{%- endmacro %}
