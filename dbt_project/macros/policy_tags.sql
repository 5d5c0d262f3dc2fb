{#- Columns that are marked personal get the installation's policy tag (BRAZE_PLATFORM_PERSONAL_POLICY_TAG), along with the
    descriptions that dbt writes into BigQuery's catalogue. -#}
{% macro bigquery__alter_column_comment(relation, column_dict) -%}
    {%- set tag = env_var("BRAZE_PLATFORM_PERSONAL_POLICY_TAG", "") -%}
    {%- set columns = {} -%}
    {%- for name, column in column_dict.items() -%}
        {%- if tag and column.get("config", {}).get("meta", {}).get("personal") -%}
            {%- do columns.update({name: dict(column, policy_tags=[tag])}) -%}
        {%- else -%} {%- do columns.update({name: column}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do adapter.update_columns(relation, columns) -%}
{%- endmacro %}
