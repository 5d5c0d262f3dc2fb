{#- Wilson's score interval of a proportion: `successes` of `trials`, at the confidence of var interval_z. `side` is -1 for
    its lower bound, 1 for its upper. Null without trials. -#}
{% macro wilson_bound(successes, trials, side) -%}
    {%- set z = var("interval_z") -%}
    (
        {{ successes }}
        + {{ z * z / 2 }}
        + {{ side }}
        * {{ z }}
        * sqrt(
            greatest(
                {{ successes }}
                * 1.0
                * ({{ trials }} - {{ successes }})
                / nullif({{ trials }}, 0),
                0.0
            )
            + {{ z * z / 4 }}
        )
    )
    / (nullif({{ trials }}, 0) + {{ z * z }})
{%- endmacro %}

{#- Newcombe's hybrid score interval of a difference of two proportions (Statistics in Medicine 17, 1998, method 10), and of
    any two independent estimates with intervals of their own (Zou and Donner, Statistics in Medicine 27, 2008): one bound of
    first - second. `first` and `second` name the estimates, `<name>_low` and `<name>_high` their bounds; a first and a second
    of `<alias>.<column>` are fine. `side` is -1 for the lower bound, 1 for the upper. Null where an estimate is. -#}
{% macro difference_bound(first, second, side) -%}
    {%- set near_first = first ~ ("_low" if side < 0 else "_high") -%}
    {%- set near_second = second ~ ("_high" if side < 0 else "_low") -%}
    {{ first }}
    - {{ second }}
    + {{ side }}
    * sqrt(
        ({{ first }} - {{ near_first }}) * ({{ first }} - {{ near_first }})
        + ({{ second }} - {{ near_second }}) * ({{ second }} - {{ near_second }})
    )
{%- endmacro %}

{#- Three columns: a proportion and the bounds of its interval as `<name>`, `<name>_low`, `<name>_high`. -#}
{% macro rate_with_interval(name, successes, trials) -%}
    {{ successes }} * 1.0 / nullif({{ trials }}, 0) as {{ name }},
    {{ wilson_bound(successes, trials, -1) }} as {{ name }}_low,
    {{ wilson_bound(successes, trials, 1) }} as {{ name }}_high
{%- endmacro %}

{#- Three columns: a difference and its bounds as `<name>`, `<name>_low`, `<name>_high`, rounded to six decimals. -#}
{% macro difference_with_interval(name, first, second) -%}
    round({{ first }} - {{ second }}, 6) as {{ name }},
    round({{ difference_bound(first, second, -1) }}, 6) as {{ name }}_low,
    round({{ difference_bound(first, second, 1) }}, 6) as {{ name }}_high
{%- endmacro %}
