{#- A sum of whole numbers as a whole number: DuckDB's is 128 bits wide. -#}
{% macro whole_sum(expression) -%}
    cast(sum({{ expression }}) as {{ column_type("integer") }})
{%- endmacro %}
