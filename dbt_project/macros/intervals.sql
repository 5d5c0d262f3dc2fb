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
