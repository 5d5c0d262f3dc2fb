{#- Passes when a column is unique and never null: both in one query. -#}
{% test is_key(model, column_name) %}
    select {{ column_name }}, count(*) as rows_with_this_key
    from {{ model }}
    group by {{ column_name }}
    having count(*) > 1 or {{ column_name }} is null
{% endtest %}

{#- As dbt's own, which dbt parses without asking get_where_subquery. -#}
{% test not_null(model, column_name) %}
    select {{ column_name }} from {{ model }} where {{ column_name }} is null
{% endtest %}
