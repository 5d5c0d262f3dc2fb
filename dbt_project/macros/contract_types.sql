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

{#- DuckDB makes a contracted table of these columns and inserts into it. BigQuery takes its types from the query, which dbt
    has held against the contract just before: there they are written only where a constraint has to be declared. -#}
{% macro get_table_columns_and_constraints() -%}
    {{ return(adapter.dispatch("get_table_columns_and_constraints")()) }}
{%- endmacro %}
{% macro duckdb__get_table_columns_and_constraints() -%}
    (
        {{
            adapter.render_raw_columns_constraints(
                raw_columns=in_warehouse_types(model["columns"])
            )
            | join(", ")
        }}
    )
{%- endmacro %}
{% macro bigquery__get_table_columns_and_constraints() -%}
    {%- set constrained = model["columns"].values() | selectattr("constraints") | list -%}
    {%- if constrained or model.get("constraints") -%}
        {{ duckdb__get_table_columns_and_constraints() }}
    {%- endif -%}
{%- endmacro %}
