{#- An incremental build on DuckDB, in dbt's transaction: rows of the hours that are reprocessed go, and rows whose key
    comes again; then what was computed comes in. -#}
{% macro get_incremental_merge_sql(arg_dict) -%}
    {%- set target, new = arg_dict["target_relation"], arg_dict["temp_relation"] -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- set key = arg_dict["unique_key"] if replaces_by_key() else none -%}
    {#- The bounds first: an `or` with a subquery alone makes DuckDB read the whole table. -#}
    {%- set bounds = rows_in_reach() if key else none %}
    delete from {{ target }}
    where
        {{ bounds ~ " and " if bounds }} (
            {{ replaced_rows() }}
            {%- if key %}
                or (
                    {{ reached_rows() }}
                    and {{ key }} in (select {{ key }} from {{ new }})
                )
            {%- endif %}
        )
    ;
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ new }}
{%- endmacro %}

{#- The same on BigQuery in one statement, which is atomic. -#}
{% macro bq_generate_incremental_build_sql(
    strategy,
    tmp_relation,
    target_relation,
    sql,
    unique_key,
    partition_by,
    partitions,
    dest_columns,
    tmp_relation_exists,
    copy_partitions,
    incremental_predicates
) -%}
    {%- set columns = dest_columns | map(attribute="quoted") | join(", ") -%}
    {%- set key = unique_key if replaces_by_key() else none -%}
    merge into {{ target_relation }} as replaced
    using (
        {%- if tmp_relation_exists %} select * from {{ tmp_relation }}
        {%- else %}
            {{ sql }}
        {%- endif %}
    ) as computed
    on
    {%- if key %}
        replaced.{{ key }} = computed.{{ key }}
        and {{ reached_rows("replaced.") }}
    {%- else %} false
    {%- endif %}
    {%- if key %}
        when matched then update set
        {%- for column in dest_columns %}
            {{ column.quoted }} = computed.{{ column.quoted }}{{ "," if not loop.last }}
        {%- endfor %}
    {%- endif %}
    when not matched by source and {{ replaced_rows("replaced.") }} then delete
    when not matched then insert ({{ columns }}) values ({{ columns }})
{%- endmacro %}


{#- `partition_by` in a model's configuration is BigQuery's; DuckDB's tables have no partitions. -#}
{% macro duckdb__get_partitioned_by(relation, temporary) -%}
    {{ return(none) }}
{%- endmacro %}

{#- A table of hours or days is written in their order when it is built as a whole: DuckDB leaves out what lies outside of a
    condition by the least and greatest value of each 122,880 rows, and joins and groups shuffle rows. Without an order the
    build of one new hour reads all history.

    In two steps, for what computes the rows and what orders them need much memory each; but for models with a contract, which
    dbt checks against the SQL of the first step, and which are small. -#}
{% macro duckdb__create_table_as(
    temporary, relation, compiled_code, language="sql", partitioned_by=none, sorted_by=none
) -%}
    {%- set column = config.get("meta", {}).get("rebuild", {}).get("column") -%}
    {%- set ordered = column and not temporary -%}
    {%- set in_two_steps = ordered and not config.get("contract").enforced -%}
    {%- set unordered = relation.incorporate(
        path={"identifier": relation.identifier ~ "__unordered"}
    ) -%}
    {%- if in_two_steps %}
        create or replace table {{ unordered }} as ({{ compiled_code }}
        )
        ;
        {%- set compiled_code = "select * from " ~ unordered ~ " order by " ~ column %}
    {%- elif ordered %}
        {%- set compiled_code = (
            "select * from ("
            ~ compiled_code
            ~ "\n) as unordered order by "
            ~ column
        ) -%}
    {%- endif %}
    {{
        dbt.duckdb__create_table_as(
            temporary, relation, compiled_code, language, partitioned_by, sorted_by
        )
    }}
    {%- if in_two_steps %}
        ;
        drop table {{ unordered }}
        ;
    {%- endif %}
{%- endmacro %}
