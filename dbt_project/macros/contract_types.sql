{#- Contracts declare types in neutral words (string, integer, number, boolean, timestamp, date), which mean the same on both
    warehouses; here they become the warehouse's own before dbt compares and creates. -#}
{% macro in_warehouse_types(columns) -%}
    {%- set translated = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do translated.update({name: dict(column, data_type=column_type(column["data_type"]))}) -%}
    {%- endfor -%}
    {{ return(translated) }}
{%- endmacro %}

{% macro get_empty_schema_sql(columns) -%}
    {{ return(adapter.dispatch("get_empty_schema_sql", "dbt")(in_warehouse_types(columns))) }}
{%- endmacro %}

{% macro get_table_columns_and_constraints() -%}
    (
        {{
            adapter.render_raw_columns_constraints(
                raw_columns=in_warehouse_types(model["columns"])
            )
            | join(", ")
        }}
    )
{%- endmacro %}
