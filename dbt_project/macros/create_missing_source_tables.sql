{#- Runs before every build: tables that the platform itself writes (`meta: {created_when_missing: true}`) and that are not
    there yet are made, empty, from the columns that models/sources declares. An event type that Braze has never delivered is
    then an empty table, not an error. dbt lists a schema once and answers from memory; when all tables exist, this is no
    statement at all.

    Every other source belongs to somebody else. It is never made here: see require_sources. -#}
{% macro create_missing_source_tables() %}
    {%- if execute and flags.WHICH in ["build", "run", "test"] -%}
        {%- set schemas = [] -%}
        {%- for source in graph.sources.values() if is_own_source(source) -%}
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

{#- Before each model: what it reads of the company's own tables must be there. A misspelt name fails this model, and names
    what is wrong, where and what to do; other models are built. -#}
{% macro require_sources() %}
    {%- if execute and flags.WHICH in ["build", "run"] -%}
        {%- for source in graph.sources.values()
            if source.unique_id in model.depends_on.nodes and not is_own_source(source) -%}
            {%- if not adapter.get_relation(
                database=source.database, schema=source.schema, identifier=source.identifier
            ) -%}
                {{
                    exceptions.raise_compiler_error(
                        "The source "
                        ~ source.source_name
                        ~ "."
                        ~ source.name
                        ~ " is not in the warehouse: there is no table or view "
                        ~ source.identifier
                        ~ " in the data set "
                        ~ source.schema
                        ~ ". Correct its name in "
                        ~ source.original_file_path
                        ~ ", or make the table; the platform makes its own tables only."
                    )
                }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{% macro is_own_source(source) -%}
    {{ return(source.config.meta.get("created_when_missing", false)) }}
{%- endmacro %}

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
