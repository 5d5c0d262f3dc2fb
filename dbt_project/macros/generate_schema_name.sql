{#- A folder's schema is used as it is (staging, intermediate, marts, attributes), behind an optional prefix, so that
    several installations can share one BigQuery project. The schema of the profile has the prefix already. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name -%}
        {{ env_var("BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX", "") }}{{ custom_schema_name | trim }}
    {%- else -%} {{ target.schema | trim }}
    {%- endif -%}
{%- endmacro %}
