{#- An incremental build on DuckDB, in dbt's transaction: rows of the hours that are done again go, and rows whose key
    comes again; then what was computed comes in. -#}
{% macro get_incremental_merge_sql(arg_dict) -%}
    {%- set target, new = arg_dict["target_relation"], arg_dict["temp_relation"] -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- set key = arg_dict["unique_key"] if replaces_by_key() else none -%}
    delete from {{ target }}
    where
        {{ replaced_rows() }}
        {%- if key %}
            or (
                {{ reached_rows() }}
                and {{ key }} in (select {{ key }} from {{ new }})
            )
        {%- endif %}
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
