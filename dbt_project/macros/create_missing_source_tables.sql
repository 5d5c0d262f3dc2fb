{#- Runs before every build: source tables that are not there yet are made, empty, from the columns that models/sources
    declares. An event type that Braze has never delivered is then an empty table, not an error. dbt lists a schema once
    and answers from memory; when all tables exist, this is no statement at all. -#}
{% macro create_missing_source_tables() %}
    {%- if execute and flags.WHICH in ["build", "run", "test"] -%}
        {%- set schemas = [] -%}
        {%- for source in graph.sources.values() if source.package_name == project_name -%}
            {%- if not adapter.get_relation(
                database=source.database, schema=source.schema, identifier=source.identifier
            ) -%}
                {%- set relation = api.Relation.create(
                    database=source.database, schema=source.schema, identifier=source.identifier
                ) -%}
                {%- if relation.without_identifier() | string not in schemas %}
                    {%- do schemas.append(relation.without_identifier() | string) %}
                    create schema if not exists {{ relation.without_identifier() }};
                {%- endif %}
                {%- set columns = [] -%}
                {%- for column in source.columns.values() -%}
                    {%- do columns.append(adapter.quote(column.name) ~ " " ~ column_type(column.data_type)) -%}
                {%- endfor %}
                {%- set partitioned_by = source.config.meta.get("partitioned_by") -%}
                create table if not exists {{ relation }} ({{ columns | join(", ") }})
                {{ partition_clause(partitioned_by) if partitioned_by }}
                ;
            {%- endif -%}
        {%- endfor -%}
        {%- if schemas %} {{ keep_what_the_hook_made() }} {%- endif -%}
    {%- endif -%}
{% endmacro %}

{#- A table by the day of one of its timestamps; DuckDB has no such thing. -#}
{% macro partition_clause(column) -%}
    {{ return(adapter.dispatch("partition_clause")(column)) }}
{%- endmacro %}
{% macro duckdb__partition_clause(column) -%} {%- endmacro %}
{% macro bigquery__partition_clause(column) -%}
    partition by date({{ column }})
{%- endmacro %}

{#- On DuckDB dbt looks at the catalogue in a transaction and rolls it back after the hook, with all that the hook did: what
    was made is committed, and dbt finds open the transaction that it expects. BigQuery knows no such thing. -#}
{% macro keep_what_the_hook_made() -%}
    {{ return(adapter.dispatch("keep_what_the_hook_made")()) }}
{%- endmacro %}
{% macro duckdb__keep_what_the_hook_made() -%}
    commit
    ;
    begin
    ;
{%- endmacro %}
{% macro bigquery__keep_what_the_hook_made() -%} {%- endmacro %}
